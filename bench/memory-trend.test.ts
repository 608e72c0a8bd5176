import { describe, expect, it } from 'vitest';
import { memoryTrend } from './memory-trend.ts';

describe('memoryTrend', () => {
  it('tells growth per 1,000 requests from the second half', () => {
    // It grows at first, as every process does; then by 2 MiB every 500 requests.
    const samples = [100, 180, 200, 200, 200, 202, 204, 206];
    expect(memoryTrend(samples, 500)).toEqual({
      first_mib: 100,
      last_mib: 206,
      most_mib: 206,
      slope_mib_per_1000_requests: 4,
    });
  });

  it('is flat where memory comes and goes', () => {
    const { slope_mib_per_1000_requests: slope } = memoryTrend([90, 150, 120, 125, 120, 125, 125, 120], 100);
    expect(slope).toBe(0);
  });
});
