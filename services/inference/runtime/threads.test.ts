import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { readProcessorLimits, threadsFor } from './threads.ts';

const none = { configured: null, cpuMax: null, cfsQuota: null, cfsPeriod: null, parallelism: 8 };

describe('threadsFor', () => {
  it.each([
    ['no limit', none, 8],
    ['cgroup v2 without a limit', { ...none, cpuMax: 'max 100000\n' }, 8],
    ['cgroup v2, two processors', { ...none, cpuMax: '200000 100000\n' }, 2],
    ['cgroup v2, one and a half', { ...none, cpuMax: '150000 100000\n' }, 1],
    ['cgroup v2, a tenth', { ...none, cpuMax: '10000 100000\n' }, 1],
    ['cgroup v2, more than there are', { ...none, cpuMax: '3200000 100000\n' }, 8],
    ['cgroup v1 without a limit', { ...none, cfsQuota: '-1\n', cfsPeriod: '100000\n' }, 8],
    ['cgroup v1, three processors', { ...none, cfsQuota: '300000\n', cfsPeriod: '100000\n' }, 3],
    ['a setting above all', { ...none, cpuMax: '200000 100000', configured: 5 }, 5],
    ['a file that says nothing', { ...none, cpuMax: '' }, 8],
  ])('%s', (_, limits, threads) => {
    expect(threadsFor(limits)).toBe(threads);
  });
});

describe('readProcessorLimits', () => {
  it('gives a number of threads this machine has', () => {
    const threads = threadsFor(readProcessorLimits(null));
    expect(threads).toBeGreaterThanOrEqual(1);
    expect(threads).toBeLessThanOrEqual(availableParallelism());
  });
});
