/** The time of day is set an hour forth and back all the while, in the service's process and in its engine's: no request notices. */
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { type RealService, startRealService } from '../observability/testing/real-service.ts';

const JUMPING_CLOCK = pathToFileURL(`${import.meta.dirname}/testing/jumping-clock.mjs`).href;

let service: RealService;
afterEach(() => service.stop());

async function start(environment: Record<string, string>): Promise<void> {
  service = await startRealService({ NODE_OPTIONS: `--import=${JUMPING_CLOCK}`, ...environment });
}

const STORY = { prompt: 'Once upon a time', ignore_eos: true };

describe('while the clock is set again and again', () => {
  it('the times in the log do jump', async () => {
    await start({});
    for (let request = 0; request < 20; request++) await (await service.generate({ prompt: 'a' })).text();
    const times = service.log.map(({ time }) => Date.parse(String(time)));
    expect(times.some((time, index) => Math.abs(time - (times[index - 1] ?? time)) > 3_000_000)).toBe(true);
  });

  it('requests that run and requests that wait are all answered', async () => {
    await start({ OCCUPANCY_SEMAPHORE: '2' });
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, seed) => service.generate({ ...STORY, max_new_tokens: 60, seed })),
    );
    for (const answer of answers) {
      expect(answer.status).toBe(200);
      expect(await answer.json()).toMatchObject({ usage: { completion_tokens: 60 } });
    }
  });

  it('a deadline comes after its time, neither at once nor never', async () => {
    await start({ TIMEOUT_SECONDS: '1', OCCUPANCY_SEMAPHORE: '1', SLOTS: '1' });
    const startedAt = performance.now();
    // 40,000 tokens, one sequence after the other: more than anybody computes in a second.
    const ends = await Promise.all(
      Array.from({ length: 8 }, async (_, seed) => {
        const answer = await service.generate({ ...STORY, max_new_tokens: 500, num_return_sequences: 10, seed });
        await answer.text();
        return { status: answer.status, after: performance.now() - startedAt };
      }),
    );
    const late = ends.filter(({ status }) => status === 504);
    expect(late.length, JSON.stringify(ends)).toBeGreaterThan(0);
    for (const { after } of late) expect(after).toBeGreaterThanOrEqual(1000);
    expect(ends.filter(({ status }) => ![200, 504].includes(status))).toEqual([]);
  });

  it('a rate limit counts requests and minutes as ever', async () => {
    await start({ RATE_LIMIT_RPM: '5' });
    const statuses: number[] = [];
    for (let request = 0; request < 12; request++) {
      const answer = await service.generate({ ...STORY, max_new_tokens: 4 });
      statuses.push(answer.status);
      if (answer.status === 429) expect(Number(answer.headers.get('retry-after'))).toBeLessThanOrEqual(60);
    }
    expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(6);
    expect(statuses.at(-1)).toBe(429);
  });
});
