/** `/ws/chat`: turns over a WebSocket, cancelled ones, and what is answered to what is no message. */
import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { assistant, ChatClient, system, user } from './testing/chat-client.ts';
import { Exposition } from './testing/exposition.ts';
import { eventually } from './testing/raw-client.ts';
import { type Event, numbersOf, type SocketClient } from './testing/socket-client.ts';
import { socketServices } from './testing/socket-service.ts';

const chat = socketServices();
/** Long enough to be broken off; 20 ms for each token. */
const LONG = { messages: [user('hello')], max_tokens: 60, min_new_tokens: 60 };

const UPGRADE = { connection: 'Upgrade', upgrade: 'websocket' };

describe('a turn', () => {
  it('is answered as over HTTP, in numbered pieces', async () => {
    await chat().start();
    const http = new ChatClient(chat().service.url);
    const whole = (await http.ask({ messages: [system('be brief'), user('hello')] })).body;
    const client = await chat().open();
    const turn = client.chat({ messages: [system('be brief'), user('hello')] });
    const last = await client.end(turn);
    const [first, ...events] = client.of(turn);
    expect(first).toEqual({ type: 'accepted', turn });
    expect(numbersOf(events)).toEqual(events.map((_, index) => index + 1));
    expect(events.slice(0, -1).map((event) => Object.keys(event))).toEqual(
      events.slice(0, -1).map(() => ['type', 'turn', 'number', 'id', 'session_id', 'model', 'response']),
    );
    expect(client.text(turn)).toBe(whole.response);
    const { id, request_id, processing_time, timings, seed, response, ...same } = whole;
    expect(last).toMatchObject({
      type: 'done',
      response: '',
      ...same,
      usage: { ...same.usage, cached_tokens: expect.any(Number) },
    });
    expect(last.id).toMatch(/^gen-/);
  });

  it('has an id of the service’s where it has none', async () => {
    await chat().start();
    const client = await chat().open();
    client.send({ type: 'chat', messages: [user('hello')], max_tokens: 4 });
    await client.hears(1);
    expect(client.events[0]).toEqual({ type: 'accepted', turn: expect.stringMatching(/^turn-[0-9a-f]{32}$/) });
    expect(await client.end(client.events[0].turn)).toMatchObject({ type: 'done' });
  });

  it('goes on with a session, which HTTP sees as well', async () => {
    await chat().start();
    const client = await chat().open();
    const first = await client.ask({ messages: [user('one')], session_id: 'new' });
    const turn = client.chat({ messages: [user('two')], session_id: first.session_id });
    await client.end(turn);
    const http = new ChatClient(chat().service.url);
    const { messages } = (await http.session(first.session_id)).body;
    expect(messages.map(({ role }: Event) => role)).toEqual(['user', 'assistant', 'user', 'assistant']);
    expect(messages.at(-1)).toEqual(assistant(client.text(turn)));
  });

  it('may be one of several at once over one connection', async () => {
    await chat().start({ decodeDelay: 5 });
    const client = await chat().open();
    const turns = ['a', 'b', 'c'].map((text) => client.chat({ ...LONG, messages: [user(text)] }));
    await chat().running(3);
    for (const turn of turns) {
      await client.end(turn);
      const alone = await new ChatClient(chat().service.url).ask({
        ...LONG,
        messages: [user('abc'.charAt(turns.indexOf(turn)))],
      });
      expect(client.text(turn)).toBe(alone.body.response);
    }
  });

  it('that cannot be answered says why, and the next is answered', async () => {
    await chat().start({ contextLength: 64 });
    const client = await chat().open();
    for (const [body, code, message] of [
      [{}, 'invalid_field', 'messages must be'],
      [{ messages: [user('x')], max_token: 3 }, 'invalid_field', 'did you mean max_tokens'],
      [{ messages: [user('x')], model: 'other' }, 'not_found', 'other'],
      [{ messages: [user('x')], session_id: `chat-${'0'.repeat(32)}` }, 'not_found', 'no session'],
      [{ messages: [user('x'.repeat(200))] }, 'prompt_too_long', 'shorten it'],
      [{ messages: [user('x'), user('y')] }, 'invalid_field', 'roles must alternate'],
    ] as const) {
      expect(await client.ask(body)).toMatchObject({
        type: 'error',
        number: 1,
        error: { code, message: expect.stringContaining(message), request_id: expect.stringMatching(/^req-/) },
      });
    }
    expect(await client.ask({ messages: [user('x')] })).toMatchObject({ type: 'done' });
  });

  it('is one line in the log and one request in the metrics, and the connection another', async () => {
    await chat().start();
    const client = await chat().open();
    await client.ask({ messages: [user('hello')] });
    await client.ask({});
    const lines = () => chat().log.filter(({ path }) => path === '/ws/chat');
    await eventually(lines, (seen) => seen.length === 3);
    const [handshake, answered, refused] = lines();
    expect(handshake).toMatchObject({ method: 'GET', route: '/ws/chat', status: 101 });
    expect(answered).toMatchObject({
      method: 'POST',
      route: '/ws/chat',
      status: 200,
      connection: handshake?.request_id,
      completion_tokens: 8,
    });
    expect(refused).toMatchObject({ status: 422, error: 'invalid_field', connection: handshake?.request_id });
    expect(new Set(lines().map(({ request_id }) => request_id)).size).toBe(3);
    const metrics = new Exposition((await chat().service.get('/metrics')).text);
    const requests = (status: string) =>
      metrics.value('http_requests_total', { handler: '/ws/chat', method: 'POST', status });
    expect([requests('2xx'), requests('4xx')]).toEqual([1, 1]);
    expect(metrics.value('slipway_open_sockets', {})).toBe(1);
  });

  it('cannot be asked for as a path', async () => {
    await chat().start();
    const post = await fetch(`${chat().service.url}/ws/chat`, { method: 'POST', body: JSON.stringify(LONG) });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET']);
    const get = await chat().service.get('/ws/chat');
    expect([get.status, get.headers.get('upgrade'), get.body.error.code]).toEqual([
      426,
      'websocket',
      'upgrade_required',
    ]);
  });
});

describe('cancelling', () => {
  it('ends the answer and frees its slot at once, keeps nothing of it, and lets it be sent again', async () => {
    await chat().start({ decodeDelay: 20, slots: 1 });
    const client = await chat().open();
    const turn = client.chat({ ...LONG, max_tokens: 500, min_new_tokens: 500, session_id: 'a' });
    await chat().running(1);
    client.send({ type: 'cancel', turn });
    expect(await client.end(turn)).toMatchObject({ type: 'cancelled', number: expect.any(Number) });
    await chat().running(0);
    expect((await new ChatClient(chat().service.url).session('a')).status).toBe(404);
    client.events.length = 0;
    client.chat({ messages: [user('again')], session_id: 'a' }, turn);
    expect(await client.end(turn)).toMatchObject({ type: 'done', session_id: 'a' });
  });

  it('also one that waits for its turn', async () => {
    await chat().start({ decodeDelay: 20, config: { occupancySemaphore: 1 } });
    const client = await chat().open();
    const first = client.chat(LONG);
    await chat().running(1);
    const waiting = client.chat(LONG);
    await eventually(
      async () => (await chat().service.get('/health')).body.waiting,
      (count) => count === 1,
    );
    client.send({ type: 'cancel', turn: waiting });
    expect(await client.end(waiting)).toMatchObject({ type: 'cancelled', number: 1 });
    expect(await client.end(first)).toMatchObject({ type: 'done' });
  });
});

describe('what is no message', () => {
  it.each([
    ['nothing', '', 'invalid_json', 'it is empty'],
    ['no JSON', '{', 'invalid_json', 'must be JSON'],
    ['no object', '[1]', 'invalid_field', 'JSON object'],
    ['no type', '{}', 'invalid_field', 'type must be one of chat, cancel, resume, ping'],
    ['an unknown type', '{"type":"constructor"}', 'invalid_field', 'type must be one of'],
    ['a turn that is guessed', '{"type":"chat","turn":"1","messages":[]}', 'invalid_field', 'nobody guesses'],
    ['no turn', '{"type":"cancel"}', 'invalid_field', 'turn must be'],
    ['a negative number', `{"type":"resume","turn":"${'t'.repeat(16)}","after":-1}`, 'invalid_field', 'after must be'],
    ['an unknown field', `{"type":"cancel","turn":"${'t'.repeat(16)}","now":1}`, 'invalid_field', 'not a known field'],
  ])('%s is told, and the connection goes on', async (_, text, code, message) => {
    await chat().start();
    const client = await chat().open();
    client.socket.send(text);
    await client.hears(1);
    expect(client.events[0]).toMatchObject({
      type: 'error',
      error: { code, message: expect.stringContaining(message) },
    });
    expect(await client.ask({ messages: [user('x')] })).toMatchObject({ type: 'done' });
  });

  it('bytes instead of text are told', async () => {
    await chat().start();
    const client = await chat().open();
    client.socket.send(Buffer.from('{"type":"ping"}'));
    await client.hears(1);
    expect(client.events[0]).toMatchObject({
      error: { code: 'malformed_request', message: expect.stringContaining('binary') },
    });
    expect(await client.ask({ messages: [user('x')] })).toMatchObject({ type: 'done' });
  });

  it.each([
    ['10 MB', (client: SocketClient) => client.socket.send('x'.repeat(10 * 2 ** 20)), 1009, 'body_too_large'],
    [
      '10 MB in pieces',
      ({ socket }: SocketClient) => {
        for (let piece = 0; piece < 40; piece++) socket.send('x'.repeat(2 ** 18), { fin: piece === 39 });
      },
      1009,
      'body_too_large',
    ],
    [
      'no UTF-8',
      (client: SocketClient) => client.socket.send(Buffer.from([0xc3, 0x28]), { binary: false }),
      1007,
      'invalid_json',
    ],
  ])('%s is told before the connection is closed, and others notice nothing', async (_, spoil, closeCode, code) => {
    await chat().start();
    const [client, other] = [await chat().open(), await chat().open()];
    spoil(client);
    expect(await client.closed).toEqual([closeCode, expect.stringMatching(/./)]);
    expect(client.events).toMatchObject([{ type: 'error', error: { code } }]);
    expect(await other.ask({ messages: [user('x')] })).toMatchObject({ type: 'done' });
    expect(chat().log.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it.each([
    ['frames that are none', [0xff, 0xff, 0xff]],
    ['frames without a mask', [0x81, 0x01, 0x41]],
  ])('%s are told before the connection is closed', async (_, bytes) => {
    await chat().start();
    const connection = await rawSocket(chat().service.url);
    connection.write(Buffer.from(bytes));
    const received = String(Buffer.concat(await connection.toArray()));
    expect(received).toContain('"code":"malformed_request"');
    // The good-bye's code: 1002.
    expect(received).toContain(String(Buffer.from([0x03, 0xea])));
    expect(await (await chat().open()).ask({ messages: [user('x')] })).toMatchObject({ type: 'done' });
  });

  it('again and again ends the connection', async () => {
    await chat().start();
    const client = await chat().open();
    for (let count = 0; count < 100; count++) client.socket.send('?');
    expect((await client.closed)[0]).toBe(1008);
    expect(client.events.length).toBeLessThan(20);
  });

  it('a handshake that is none is refused', async () => {
    await chat().start();
    const status = (headers: Record<string, string>) => upgradeStatus(chat().service.url, headers);
    expect(await status({})).toBe(400);
    expect(await status({ 'sec-websocket-key': 'short', 'sec-websocket-version': '13' })).toBe(400);
    expect(await status({ host: '[', 'sec-websocket-version': '13' })).toBe(400);
    expect((await chat().service.get('/healthz')).status).toBe(200);
  });

  it('another protocol to change to is not listened to', async () => {
    await chat().start();
    const answer = await new Promise<number>((resolve, reject) => {
      const asked = request(`${chat().service.url}/generate`, {
        method: 'POST',
        headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' },
      });
      asked.on('response', (response) => resolve(response.statusCode ?? 0));
      asked.on('error', reject);
      asked.end(JSON.stringify({ prompt: 'a', max_new_tokens: 1 }));
    });
    expect(answer).toBe(200);
  });
});

/** A connection that speaks frames, by hand. */
function rawSocket(url: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...UPGRADE,
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.alloc(16).toString('base64'),
    };
    const asked = request(`${url}/ws/chat`, { headers });
    asked.on('upgrade', (_response, connection) => resolve(connection));
    asked.on('error', reject);
    asked.end();
  });
}

function upgradeStatus(url: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(`${url}/ws/chat`, { headers: { ...UPGRADE, ...headers } });
    asked.on('response', (response) => resolve(response.statusCode ?? 0));
    asked.on('upgrade', () => resolve(101));
    asked.on('error', reject);
    asked.end();
  });
}
