/** kill -9 of the engine's process: a clear error for what ran, nothing for what did not, and the service goes on. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { allEvents, readEvents } from './testing/event-source.ts';
import { eventually } from './testing/raw-client.ts';
import { startTestService, type TestService } from './testing/test-service.ts';

let service: TestService;
beforeEach(async () => {
  service = await startTestService({ decodeDelay: 20, config: { occupancySemaphore: 1 } });
});
afterEach(() => service.close());

function killEngine(): void {
  const state = service.engine.state();
  if (state.kind !== 'ready') throw new Error(`the engine is ${state.kind}`);
  process.kill(state.pid, 'SIGKILL');
}

const LONG = { prompt: 'a long story', max_new_tokens: 512, ignore_eos: true };

describe('when the engine is killed', () => {
  it('in mid-stream, the stream ends with an error event', async () => {
    const events = readEvents(await service.stream(LONG));
    for (let seen = 0; seen < 3; seen++) expect((await events.next()).value.event).toBeUndefined();
    killEngine();
    let last = (await events.next()).value;
    for await (const event of events) last = event;
    expect(last).toMatchObject({
      event: 'error',
      data: {
        error: {
          code: 'engine_failed',
          message: expect.stringContaining('was ended by SIGKILL'),
          request_id: expect.any(String),
        },
      },
    });
  });

  it('while a JSON answer is made, that is a 500 that says so', async () => {
    const answer = service.generate(LONG);
    await eventually(
      () => service.engine.stats().running,
      (running) => running === 1,
    );
    killEngine();
    expect(await answer).toMatchObject({ status: 500, body: { error: { code: 'engine_failed' } } });
  });

  it('requests that wait are answered by the next engine', async () => {
    const running = service.generate(LONG);
    await eventually(
      () => service.engine.stats().running,
      (count) => count === 1,
    );
    const waiting = [1, 2, 3].map((index) =>
      service.generate({ prompt: `wait ${index}`, max_new_tokens: 3, ignore_eos: true }),
    );
    const health = async () => (await service.get('/health')).body.waiting;
    await eventually(health, (count) => count === 3);
    killEngine();
    expect((await running).status).toBe(500);
    for (const { status, body } of await Promise.all(waiting)) {
      expect(status).toBe(200);
      expect(body.usage.completion_tokens).toBe(3);
    }
  });

  it('and is not back by the deadline of one that waits, that is a 503 with the reason', async () => {
    await service.close();
    service = await startTestService({
      decodeDelay: 20,
      restartPause: 30_000,
      config: { occupancySemaphore: 1, timeoutSeconds: 2 },
    });
    const running = service.generate(LONG);
    const waiting = service.generate({ prompt: 'wait', max_new_tokens: 3 });
    const health = async () => (await service.get('/health')).body.waiting;
    await eventually(health, (count) => count === 1);
    killEngine();
    expect((await running).status).toBe(500);
    const { status, headers, body } = await waiting;
    expect([status, body.error.code]).toEqual([503, 'model_not_ready']);
    expect(body.error.message).toMatch(/did not answer within 2 s: the engine is being started again; .*SIGKILL/);
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('it is live, not ready, and ready again; then the same request gives the same answer', async () => {
    const body = { prompt: 'the same', max_new_tokens: 10, seed: 4, ignore_eos: true };
    const before = await service.generate(body);
    killEngine();
    await eventually(
      async () => (await service.get('/readyz')).status,
      (status) => status === 503,
    );
    expect((await service.get('/readyz')).body.reason).toMatch(/the engine is being started again; .*SIGKILL/);
    expect((await service.get('/healthz')).status).toBe(200);
    expect(await service.generate(body)).toMatchObject({ status: 503, body: { error: { code: 'model_not_ready' } } });
    await eventually(
      async () => (await service.get('/readyz')).status,
      (status) => status === 200,
    );
    expect((await service.generate(body)).body.outputs).toEqual(before.body.outputs);
    expect((await allEvents(await service.stream(body))).at(-1)?.event).toBe('done');
  });
});
