/**
 * kill -9 of the engine's process: a clear error for what ran, nothing for what did not, and the service goes on.
 *
 *     KILLING_SECONDS=60 ./slipway test engine-death    # as long as you like; a few seconds otherwise
 */
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

const KILLING_SECONDS = Number(process.env.KILLING_SECONDS ?? 6);
const KILL_EVERY_MILLISECONDS = 2000;
const CLIENTS = 8;

describe('when the engine is killed again and again', () => {
  it('every request of clients that try again gets exactly one answer, whole or with the reason', {
    timeout: 120_000 + 2000 * KILLING_SECONDS,
  }, async () => {
    await service.close();
    const logged: string[] = [];
    service = await startTestService({
      decodeDelay: 5,
      slots: 4,
      config: { occupancySemaphore: 4, timeoutSeconds: 5 },
      onLog: (line) => logged.push(line),
    });
    const asked = { prompt: 'the same', max_new_tokens: 60, seed: 4, temperature: 1, ignore_eos: true };
    const expected: string = (await service.generate(asked)).body.text;
    let [kills, isOver, requests] = [0, false, 1];
    const killer = setInterval(() => {
      if (service.engine.state().kind !== 'ready') return;
      killEngine();
      kills++;
    }, KILL_EVERY_MILLISECONDS);
    const ends: Record<string, number> = {};
    const client = async (index: number) => {
      while (!isOver) {
        requests++;
        const end = index % 2 === 0 ? await answerOf(asked, expected) : await streamOf(asked, expected);
        ends[end] = (ends[end] ?? 0) + 1;
        if (end !== 'whole') await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    const clients = Array.from({ length: CLIENTS }, (_, index) => client(index));
    await new Promise((resolve) => setTimeout(resolve, KILLING_SECONDS * 1000));
    clearInterval(killer);
    isOver = true;
    await Promise.all(clients);
    expect(kills).toBeGreaterThanOrEqual(2);
    expect(Object.keys(ends).sort()).toEqual(expect.arrayContaining(['engine_failed', 'whole']));
    const strange = Object.keys(ends).filter((end) => !KNOWN_ENDS.has(end));
    expect(strange).toEqual([]);
    // One line for each, and none twice: a request that was answered twice would have two.
    const isRequest = (line: string) => line.includes('"msg":"request"') && line.includes('"path":"/generate"');
    await eventually(
      () => logged.filter(isRequest).length,
      (lines) => lines >= requests,
    );
    const ids = logged.filter(isRequest).map((line) => JSON.parse(line).request_id);
    expect([ids.length, new Set(ids).size]).toEqual([requests, requests]);
    expect(logged.filter((line) => line.includes('"msg":"a bug"'))).toEqual([]);
    await eventually(
      async () => (await service.get('/readyz')).status,
      (status) => status === 200,
      60_000,
    );
    expect((await service.generate(asked)).body.text).toBe(expected);
  });
});

const KNOWN_ENDS = new Set(['whole', 'engine_failed', 'model_not_ready', 'overloaded', 'timeout']);

async function answerOf(asked: object, expected: string): Promise<string> {
  const { status, body } = await service.generate(asked);
  if (status !== 200) return body.error.code;
  return body.text === expected ? 'whole' : `another text: ${body.text}`;
}

async function streamOf(asked: object, expected: string): Promise<string> {
  const response = await service.stream(asked);
  if (response.status !== 200) return ((await response.json()) as { error: { code: string } }).error.code;
  const events = await allEvents(response);
  const ends = events.filter(({ event }) => event !== undefined);
  const [end] = ends;
  if (ends.length !== 1 || end === undefined || end !== events.at(-1)) return `ends: ${JSON.stringify(ends)}`;
  const deltas = events.filter(({ event }) => event === undefined).map(({ data }) => (data as { text: string }).text);
  const text = deltas.join('');
  if (end.event === 'error') {
    if (!expected.startsWith(text)) return `another beginning: ${text}`;
    return (end.data as { error: { code: string } }).error.code;
  }
  return text === expected ? 'whole' : `another text: ${text}`;
}
