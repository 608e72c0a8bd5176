/** Conversations through a real process, which is killed, told to end, whose clock is set, or one of whose models has a template that throws. */
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BUNDLED_BUCKET } from '@slipway/inference/serve';
import { hasRedisServer, startRedisServer } from '@slipway/shared/jobs/testing/redis-server.ts';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type RealService, startRealService } from '../observability/testing/real-service.ts';
import { chatBucket } from './testing/chat-bucket.ts';
import { assistant, ChatClient, STRICT_TEMPLATE, user } from './testing/chat-client.ts';
import { eventually } from './testing/raw-client.ts';
import { type Event, SocketClient, textOf } from './testing/socket-client.ts';

const JUMPING_CLOCK = pathToFileURL(`${import.meta.dirname}/testing/jumping-clock.mjs`).href;
const LOADED_MODULES = pathToFileURL(`${import.meta.dirname}/../observability/testing/print-loaded-modules.mjs`).href;
const LONG = { messages: [user('Once upon a time')], max_tokens: 400, min_new_tokens: 400 };

async function start(environment: Record<string, string>): Promise<RealService> {
  const service = await startRealService(environment);
  onTestFinished(() => service.stop());
  return service;
}

async function settings(): Promise<Record<string, string>> {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-chat-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return { DATA_FOLDER: folder, BUCKET_URL: await chatBucket({ story: STRICT_TEMPLATE }) };
}

async function kill(service: RealService): Promise<void> {
  const closed = once(service.child, 'close');
  service.child.kill('SIGKILL');
  await closed;
}

describe.skipIf(!existsSync(join(BUNDLED_BUCKET, 'manifests')))('a process', { timeout: 120_000 }, () => {
  it('loads what speaks WebSocket with the first one', async () => {
    const service = await start({ ...(await settings()), NODE_OPTIONS: `--import=${LOADED_MODULES}` });
    expect((await service.generate({ prompt: 'Once', max_new_tokens: 2 })).status).toBe(200);
    expect(service.errors()).not.toContain('node_modules/ws/');
    const client = await SocketClient.open(service.url);
    expect(await client.ask({ messages: [user('Once')] })).toMatchObject({ type: 'done' });
    expect(service.errors()).toContain('node_modules/ws/');
    client.socket.terminate();
  });

  it('that is killed has kept every turn that it told the end of, and nothing of the one it was at', async () => {
    const environment = await settings();
    let service = await start(environment);
    const client = await SocketClient.open(service.url);
    const said: Event[] = [];
    for (const text of ['one', 'two', 'three']) {
      const turn = client.chat({ messages: [user(text)], session_id: 'mine' });
      await client.end(turn);
      said.push(user(text), assistant(client.text(turn)));
    }
    const turn = client.chat({ ...LONG, session_id: 'mine' });
    await eventually(
      () => client.text(turn).length,
      (length) => length > 20,
    );
    await kill(service);
    expect((await client.closed)[0]).toBe(1006);

    service = await start(environment);
    expect((await new ChatClient(service.url).session('mine')).body.messages).toEqual(said);
    const again = await SocketClient.open(service.url);
    again.send({ type: 'resume', turn, after: 1 });
    expect(await again.end(turn)).toMatchObject({ type: 'error', error: { code: 'not_found' } });
    again.events.length = 0;
    again.chat({ messages: [user('four')], session_id: 'mine' }, turn);
    expect(await again.end(turn)).toMatchObject({ type: 'done', session_id: 'mine' });
    expect((await new ChatClient(service.url).session('mine')).body.messages).toHaveLength(8);
    again.socket.terminate();
  });

  it('that is told to end answers what has begun, says good-bye to all and exits 0', async () => {
    const service = await start(await settings());
    const clients = await Promise.all(Array.from({ length: 8 }, () => SocketClient.open(service.url)));
    const turns = clients.slice(0, 4).map((client) => client.chat({ ...LONG, session_id: 'new' }));
    await eventually(
      () => clients.slice(0, 4).map((client, index) => client.text(turns[index] ?? '').length),
      (lengths) => lengths.every((length) => length > 0),
    );
    const exited = once(service.child, 'close');
    service.child.kill('SIGTERM');
    for (const client of clients) expect((await client.closed)[0]).toBe(1001);
    for (const [index, turn] of turns.entries()) {
      expect(clients[index]?.of(turn).at(-1)).toMatchObject({ type: 'done', usage: { completion_tokens: 400 } });
    }
    expect((await exited)[0]).toBe(0);
  });

  it('gives the rest of an answer to a client whose connection was cut', async () => {
    const service = await start(await settings());
    const whole = await new ChatClient(service.url).ask(LONG);
    const first = await SocketClient.open(service.url);
    const turn = first.chat(LONG);
    await eventually(
      () => first.text(turn).length,
      (length) => length > 20,
    );
    first.socket.terminate();
    await first.closed;
    const before = first.of(turn);
    const second = await SocketClient.open(service.url);
    second.send({ type: 'resume', turn, after: before.at(-1).number });
    await second.end(turn);
    expect(textOf(before) + second.text(turn)).toBe(whole.body.response);
    second.socket.terminate();
  });

  it('whose clock is set again and again keeps its sessions in a file for their time', async () => {
    await expectTimeKept(await settings());
  });

  it.skipIf(!hasRedisServer)('and in Redis (needs redis-server)', async () => {
    const redis = await startRedisServer();
    onTestFinished(() => redis.stop());
    await expectTimeKept({ ...(await settings()), SESSIONS_URL: redis.url });
  });

  it('one of whose models has a template that throws says which, and the other goes on', async () => {
    const folder = await chatBucket({
      story: STRICT_TEMPLATE,
      refusing: "{{ raise_exception('not these words') }}",
      failing: '{{ messages.nothing() }}',
      broken: '{% for m in messages %}',
    });
    const service = await start({
      ...(await settings()),
      BUCKET_URL: folder,
      MODEL: 'story',
      PRELOAD: 'refusing,failing,broken',
    });
    const http = new ChatClient(service.url);
    const client = await SocketClient.open(service.url);
    await eventually(
      async () => (await http.ask({ messages: [user('x')], model: 'broken' })).body.error.code,
      (code) => code !== 'not_found' && code !== 'model_not_ready',
      60_000,
    );
    const good = Array.from({ length: 8 }, () => client.chat({ ...LONG, max_tokens: 100, min_new_tokens: 100 }));
    for (const model of ['refusing', 'failing', 'broken']) {
      const { status, body } = await http.ask({ messages: [user('x')], model, session_id: 'a' });
      expect([status, body.error.message]).toEqual([422, expect.stringContaining(`the chat template of ${model} `)]);
      const end = await client.ask({ messages: [user('x')], model, session_id: 'a' });
      expect(end).toMatchObject({ type: 'error', error: { message: body.error.message } });
    }
    expect((await http.session('a')).status).toBe(404);
    for (const turn of good) expect(await client.end(turn)).toMatchObject({ type: 'done' });
    expect(service.log.filter(({ msg }) => msg === 'a bug')).toEqual([]);
    client.socket.terminate();
  });
});

/** An hour forth and back, 25 times a second; a session lives for minutes or seconds. */
async function expectTimeKept(environment: Record<string, string>): Promise<void> {
  const jumping = { ...environment, NODE_OPTIONS: `--import=${JUMPING_CLOCK}` };
  const lasting = new ChatClient((await start({ ...jumping, SESSION_TTL_SECONDS: '600' })).url);
  for (let turn = 0; turn < 10; turn++) {
    expect((await lasting.ask({ messages: [user('x')], session_id: 'lasting' })).status).toBe(200);
    const { body } = await lasting.session('lasting');
    expect(body.messages).toHaveLength(2 * (turn + 1));
    expect(body.expires_in_seconds).toBeGreaterThan(500);
    expect(body.expires_in_seconds).toBeLessThanOrEqual(600);
  }
  const passing = new ChatClient((await start({ ...jumping, SESSION_TTL_SECONDS: '2' })).url);
  await passing.ask({ messages: [user('x')], session_id: 'passing' });
  const writtenAt = performance.now();
  await eventually(
    async () => (await passing.session('passing')).status,
    (status) => status === 404,
    20_000,
  );
  // Written before it was answered.
  expect(performance.now() - writtenAt).toBeGreaterThan(1000);
}
