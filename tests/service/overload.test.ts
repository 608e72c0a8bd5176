/** More than it can do: every request gets a definite answer, and soon. */
import { afterEach, describe, expect, it } from 'vitest';
import { allEvents } from './testing/event-source.ts';
import { eventually, post } from './testing/raw-client.ts';
import { type Answered, startTestService, type TestService } from './testing/test-service.ts';

let service: TestService;
afterEach(() => service.close());

function counts(answers: readonly Answered[]): Record<string, number> {
  const result: Record<string, number> = {};
  for (const { status } of answers) result[status] = (result[status] ?? 0) + 1;
  return result;
}

describe('a thousand requests at once', () => {
  it('with one permit and a short queue: as many answers as fit, refusals for the rest, none lost', async () => {
    service = await startTestService({ decodeDelay: 5, config: { occupancySemaphore: 1, queueLimit: 20 } });
    const answers = await Promise.all(
      Array.from({ length: 1000 }, (_, index) =>
        service.generate({ prompt: `request ${index}`, max_new_tokens: 4, ignore_eos: true }),
      ),
    );
    expect(answers).toHaveLength(1000);
    const { 200: answered = 0, 503: refused = 0 } = counts(answers);
    expect(answered + refused).toBe(1000);
    expect(answered).toBeGreaterThanOrEqual(21);
    // Each takes four steps of 5 ms, and all arrive within a few seconds.
    expect(refused).toBeGreaterThan(500);
    for (const { status, headers, body } of answers) {
      if (status === 200) {
        expect(body.usage.completion_tokens).toBe(4);
        continue;
      }
      expect(body.error.code).toBe('overloaded');
      expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(60);
    }
    expect((await service.generate({ prompt: 'after', max_new_tokens: 1 })).status).toBe(200);
  });

  it('with sixteen permits and room for all: all are answered', async () => {
    service = await startTestService({ config: { occupancySemaphore: 16, queueLimit: 1000 } });
    const answers = await Promise.all(
      Array.from({ length: 1000 }, () => service.generate({ prompt: 'hi', max_new_tokens: 3, ignore_eos: true })),
    );
    expect(counts(answers)).toEqual({ 200: 1000 });
  });
});

describe('bodies that are still on their way', () => {
  it('count: beyond permits, queue and a margin nothing more is read', async () => {
    service = await startTestService({ config: { occupancySemaphore: 1, queueLimit: 3 } });
    const body = { prompt: 'x'.repeat(1000), max_new_tokens: 1 };
    const clients = await Promise.all(
      Array.from({ length: 36 }, () => post(service.url, '/generate', body, { onlyBytes: 10 })),
    );
    const answer = () => service.generate({ prompt: 'one more', max_new_tokens: 1 });
    await eventually(
      async () => (await answer()).status,
      (status) => status === 503,
    );
    const late = await post(service.url, '/generate', body, { onlyBytes: 10 });
    await late.sees('"code":"overloaded"');
    expect(late.received()).toMatch(/retry-after: \d/i);
    for (const { socket } of [...clients, late]) socket.destroy();
    await eventually(
      async () => (await answer()).status,
      (status) => status === 200,
    );
  });
});

describe('one permit', () => {
  it('runs strictly one at a time', async () => {
    service = await startTestService({ decodeDelay: 2, slots: 4, config: { occupancySemaphore: 1 } });
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, service.engine.stats().running);
    }, 1);
    await Promise.all(
      Array.from({ length: 6 }, () => service.generate({ prompt: 'hi', max_new_tokens: 10, ignore_eos: true })),
    );
    clearInterval(watch);
    expect(most).toBe(1);
  });
});

describe('deadlines', () => {
  it('a request that takes too long is a 504, and its slot is free again', async () => {
    service = await startTestService({ decodeDelay: 50, config: { timeoutSeconds: 1 } });
    const { status, body } = await service.generate({ prompt: 'slow', max_new_tokens: 512, ignore_eos: true });
    expect([status, body.error.code]).toEqual([504, 'timeout']);
    await eventually(
      () => service.engine.stats(),
      (stats) => stats.running === 0 && stats.waiting === 0,
    );
  });

  it('a stream that takes too long ends its outputs with `timeout` and itself with an error event', async () => {
    service = await startTestService({ decodeDelay: 50, config: { timeoutSeconds: 1 } });
    const events = await allEvents(await service.stream({ prompt: 'slow', max_new_tokens: 512, ignore_eos: true }));
    expect(events.at(-1)).toMatchObject({ event: 'error', data: { error: { code: 'timeout' } } });
    expect(events.at(-2)).toMatchObject({ event: undefined, data: { outputs: [{ finish_reason: 'timeout' }] } });
    expect(events.length).toBeGreaterThan(8);
  });

  it('one that times out while it waits is a 504 as well, and never reaches the engine', async () => {
    service = await startTestService({ decodeDelay: 40, config: { timeoutSeconds: 1, occupancySemaphore: 1 } });
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => service.generate({ prompt: 'slow', max_new_tokens: 512, ignore_eos: true })),
    );
    expect(counts(answers)).toEqual({ 504: 4 });
    await eventually(
      () => service.engine.stats().running,
      (running) => running === 0,
    );
  });

  it('one that could not be done in time is refused at once', async () => {
    service = await startTestService({ decodeDelay: 20, config: { timeoutSeconds: 2, occupancySemaphore: 1 } });
    // Teaches it the pace: 50 steps of 20 ms.
    await service.generate({ prompt: 'pace', max_new_tokens: 50, ignore_eos: true });
    const first = service.generate({ prompt: 'first', max_new_tokens: 70, ignore_eos: true });
    await eventually(
      () => service.engine.stats().running,
      (running) => running === 1,
    );
    const startedAt = performance.now();
    const { status, headers, body } = await service.generate({
      prompt: 'second',
      max_new_tokens: 70,
      ignore_eos: true,
    });
    expect([status, body.error.code]).toEqual([503, 'overloaded']);
    expect(body.error.message).toMatch(/would not be done before its deadline; try again in \d s/);
    expect(headers.get('retry-after')).toMatch(/^[12]$/);
    expect(performance.now() - startedAt).toBeLessThan(1000);
    // Its own deadline is near, on a machine with other work too near.
    expect([200, 504]).toContain((await first).status);
  });
});
