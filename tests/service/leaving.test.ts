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

const WAYS: readonly (readonly [string, (socket: Socket) => void])[] = [
  ['by a reset', (socket) => socket.resetAndDestroy()],
  ['by closing', (socket) => socket.destroy()],
  ['by ending its side', (socket) => socket.end()],
];

describe.each(WAYS)('a client that leaves %s', (_, leave) => {
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

describe('two hundred streams', () => {
  it('of which half leave: the others get all of theirs, and nothing is left behind', async () => {
    await service.close();
    service = await startTestService({ slots: 16, config: { occupancySemaphore: 16, queueLimit: 200 } });
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const tokens = 20 + (index % 7);
        const client = await post(service.url, '/generate', {
          prompt: `stream ${index}`,
          // Whoever leaves would stay for long.
          max_new_tokens: index % 2 === 0 ? tokens : 512,
          ignore_eos: true,
          stream: true,
        });
        if (index % 2 === 0) {
          await client.sees('event: done');
          client.socket.destroy();
          return client.received().includes(`"completion_tokens":${tokens}`) ? 'whole' : client.received();
        }
        // Some before they are answered, some in the midst of it.
        if (index % 4 === 1) await client.sees('token_ids');
        WAYS[index % WAYS.length]?.[1](client.socket);
        return 'left';
      }),
    );
    expect(outcomes.filter((outcome) => outcome === 'left')).toHaveLength(100);
    expect(outcomes.filter((outcome) => outcome !== 'left')).toEqual(Array.from({ length: 100 }, () => 'whole'));
    await eventually(
      async () => {
        const { running: slots, waiting: queued } = service.engine.stats();
        return slots + queued + (await waiting()) + (await service.get('/health')).body.running;
      },
      (left) => left === 0,
      30_000,
    );
    await expectFreeSoon();
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
