/** Clients that leave: streaming, waiting for an answer, queued, and with half a body sent. */
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually, post } from './testing/raw-client.ts';
import { startTestService, type TestService } from './testing/test-service.ts';

const STEP = 20;
const LONG = { prompt: 'a long story', max_new_tokens: 512, ignore_eos: true };

let service: TestService;
beforeEach(async () => {
  service = await startTestService({
    decodeDelay: STEP,
    prefillDelay: 1,
    config: { occupancySemaphore: 1, queueLimit: 4 },
  });
});
afterEach(() => service.close());

const running = () => service.engine.stats().running;
const waiting = async () => (await service.get('/health')).body.waiting;

/** A step, and what processes that share their processors need; the answers themselves would take ten seconds. */
const SOON = STEP + 1000;

async function expectFreeSoon(): Promise<void> {
  await eventually(running, (count) => count === 0, SOON);
  const { status, body } = await service.generate({ prompt: 'next', max_new_tokens: 1 });
  expect(status).toBe(200);
  expect(body.timings.queue_ms).toBeLessThan(SOON);
}

describe.each([
  ['by a reset', (socket: Socket) => socket.resetAndDestroy()],
  ['by closing', (socket: Socket) => socket.destroy()],
  ['by ending its side', (socket: Socket) => socket.end()],
])('a client that leaves %s', (_, leave) => {
  it('while streaming frees its slot within a step', async () => {
    const client = await post(service.url, '/generate', { ...LONG, stream: true });
    await client.sees('token_ids');
    expect(running()).toBe(1);
    leave(client.socket);
    await expectFreeSoon();
  });

  it('while waiting for its answer frees its slot within a step', async () => {
    const client = await post(service.url, '/generate', LONG);
    await eventually(running, (count) => count === 1);
    leave(client.socket);
    await expectFreeSoon();
  });

  it('while queued never runs', async () => {
    const first = await post(service.url, '/generate', { ...LONG, stream: true });
    await first.sees('token_ids');
    const queued = await post(service.url, '/generate', { ...LONG, prompt: 'queued', stream: true });
    await eventually(waiting, (count) => count === 1);
    leave(queued.socket);
    await eventually(waiting, (count) => count === 0, SOON);
    leave(first.socket);
    await expectFreeSoon();
    expect(queued.received()).toBe('');
  });
});

describe('a client that leaves', () => {
  it('inside a long prefill stops it', async () => {
    // 1,900 tokens at 1 ms.
    const client = await post(service.url, '/generate', { ...LONG, prompt: 'x'.repeat(1_900) });
    await eventually(running, (count) => count === 1);
    client.socket.destroy();
    await expectFreeSoon();
  });

  it('with half its body sent disturbs nobody', async () => {
    const client = await post(service.url, '/generate', LONG, { onlyBytes: 10 });
    client.socket.resetAndDestroy();
    await expectFreeSoon();
  });

  it('with ten sequences leaves none behind', async () => {
    const client = await post(service.url, '/generate', { ...LONG, num_return_sequences: 10, stream: true });
    await client.sees('token_ids');
    client.socket.destroy();
    await eventually(
      () => service.engine.stats(),
      (stats) => stats.running + stats.waiting === 0,
      SOON,
    );
  });
});

describe('a stop string', () => {
  it('ends the sequence in the engine as well, and with it the request', async () => {
    const greedy = { ...LONG, temperature: 0 };
    const { body: free } = await service.generate({ ...greedy, max_new_tokens: 8 });
    const stop = [...free.text].slice(2, 4).join('');
    const { body } = await service.generate({ ...greedy, stop });
    expect(body.outputs[0].finish_reason).toBe('stop');
    expect(body.timings.total_ms).toBeLessThan(8 * STEP + SOON);
    expect(running()).toBe(0);
  });
});
