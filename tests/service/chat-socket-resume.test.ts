/** Connections to `/ws/chat` that break: turns go on for a while and are had over another; peers that are dead, and a service that ends. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { assistant, ChatClient, user } from './testing/chat-client.ts';
import { Exposition } from './testing/exposition.ts';
import { eventually } from './testing/raw-client.ts';
import { type Event, numbersOf, textOf } from './testing/socket-client.ts';
import { socketServices } from './testing/socket-service.ts';

const chat = socketServices();
/** Long enough to be broken off; 20 ms for each token. */
const LONG = { messages: [user('hello')], max_tokens: 60, min_new_tokens: 60 };

describe('resuming', () => {
  /** Begins a long turn and loses the connection without a good-bye in the middle of it. */
  async function broken(body: object = LONG, heard = 5): Promise<{ turn: string; before: Event[] }> {
    const client = await chat().open();
    const turn = client.chat(body);
    await client.hears(heard);
    client.socket.terminate();
    await client.closed;
    return { turn, before: client.of(turn) };
  }

  it('gives the rest over another connection, whole and nothing twice', async () => {
    await chat().start({ decodeDelay: 20 });
    const whole = (await new ChatClient(chat().service.url).ask(LONG)).body.response;
    const { turn, before } = await broken();
    expect(textOf(before).length).toBeLessThan(whole.length);
    await sleep(100);
    const client = await chat().open();
    client.send({ type: 'resume', turn, after: before.at(-1).number });
    expect(await client.end(turn)).toMatchObject({ type: 'done', finish_reason: 'length' });
    expect(textOf(before) + client.text(turn)).toBe(whole);
    const numbers = numbersOf(client.of(turn));
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(numbers[0]).toBeGreaterThan(before.at(-1).number);
  });

  it('again and again', async () => {
    await chat().start({ decodeDelay: 10 });
    const whole = (await new ChatClient(chat().service.url).ask(LONG)).body.response;
    let { turn, before } = await broken();
    let isDone = false;
    let connections = 1;
    while (!isDone) {
      const client = await chat().open();
      client.send({ type: 'resume', turn, after: before.at(-1).number });
      await eventually(
        () => client.of(turn),
        (events) => events.length >= 4 || events.at(-1)?.type === 'done',
      );
      client.socket.terminate();
      await client.closed;
      const events = client.of(turn).slice(1);
      before = [...before, ...events];
      isDone = events.some(({ type }) => type === 'done');
      connections += 1;
    }
    expect(connections).toBeGreaterThan(3);
    expect(textOf(before)).toBe(whole);
  });

  it('gives what has ended meanwhile, the turn being kept as if nobody had left', async () => {
    await chat().start({ decodeDelay: 5 });
    const { turn, before } = await broken({ ...LONG, session_id: 'a' });
    await chat().running(0);
    const client = await chat().open();
    client.send({ type: 'resume', turn, after: before.at(-1).number });
    await client.end(turn);
    const messages = (await new ChatClient(chat().service.url).session('a')).body.messages;
    expect(messages).toEqual([user('hello'), assistant(textOf(before) + client.text(turn))]);
    expect(client.of(turn).map(({ type }) => type)).toEqual(['accepted', 'delta', 'done']);
    // From the beginning, for who has lost all.
    client.events.length = 0;
    client.send({ type: 'resume', turn });
    await client.end(turn);
    expect(client.text(turn)).toBe(messages[1].content);
    // From the end, for who has all.
    const last = client.of(turn).at(-1).number;
    client.events.length = 0;
    client.send({ type: 'resume', turn, after: last });
    client.send({ type: 'ping' });
    await client.hears(2);
    expect(client.events).toEqual([{ type: 'accepted', turn }, { type: 'pong' }]);
  });

  it('ends with its time: nobody came, the answer is cancelled and not kept', async () => {
    await chat().start({ decodeDelay: 20, config: { resumeSeconds: 1 } });
    const { turn } = await broken({ ...LONG, max_tokens: 500, min_new_tokens: 500, session_id: 'a' });
    expect(chat().service.engine.stats().running).toBe(1);
    await chat().running(0);
    expect((await new ChatClient(chat().service.url).session('a')).status).toBe(404);
    const client = await chat().open();
    client.send({ type: 'resume', turn });
    // Until that too is forgotten.
    await eventually(
      () => {
        client.send({ type: 'resume', turn });
        return client.events.at(-1);
      },
      (event) => event?.error?.code === 'not_found',
    );
  });

  it('takes a turn from a connection that does not know yet that it is dead', async () => {
    await chat().start({ decodeDelay: 20 });
    const [one, other] = [await chat().open(), await chat().open()];
    const turn = one.chat(LONG);
    await one.hears(4);
    other.send({ type: 'resume', turn, after: 0 });
    expect(await one.end(turn)).toMatchObject({ type: 'error', error: { code: 'conflict' } });
    one.socket.terminate();
    expect(await other.end(turn)).toMatchObject({ type: 'done' });
    expect(other.text(turn)).toBe((await new ChatClient(chat().service.url).ask(LONG)).body.response);
  });

  it('is refused for what was never said, is not there, or was sent already', async () => {
    await chat().start({ decodeDelay: 20 });
    const client = await chat().open();
    const turn = client.chat(LONG);
    await client.hears(3);
    client.events.length = 0;
    client.send({ type: 'resume', turn, after: 1_000_000 });
    client.send({ type: 'resume', turn: 'x'.repeat(16) });
    client.send({ type: 'cancel', turn: 'x'.repeat(16) });
    client.chat(LONG, turn);
    await eventually(
      () => client.events.filter(({ type }) => type === 'error').map(({ error }) => error.code),
      (codes) => codes.join() === 'invalid_field,not_found,not_found,conflict',
    );
    // Which has hurt nothing.
    await eventually(
      () => client.of(turn).some(({ type }) => type === 'done'),
      (is) => is,
    );
  });
});

describe('a peer', () => {
  it('that does not answer is let go, and its turn can be had', async () => {
    await chat().start({ decodeDelay: 80, config: { heartbeatSeconds: 1 } });
    const client = await chat().open({ autoPong: false });
    const turn = client.chat(LONG);
    expect((await client.closed)[0]).toBe(1006);
    const other = await chat().open();
    other.send({ type: 'resume', turn, after: client.of(turn).at(-1)?.number ?? 0 });
    await other.end(turn);
    expect(client.text(turn) + other.text(turn)).toBe(
      (await new ChatClient(chat().service.url).ask(LONG)).body.response,
    );
  });

  it('that asks and does not read is cut off', async () => {
    await chat().start({ contextLength: 8192, config: { maxNewTokens: 4000 } });
    const client = await chat().open();
    const turn = client.chat({ messages: [user('hello')], max_tokens: 4000, min_new_tokens: 4000 });
    await client.end(turn);
    client.socket.pause();
    for (let count = 0; count < 20_000; count++) client.send({ type: 'resume', turn });
    await eventually(
      async () => new Exposition((await chat().service.get('/metrics')).text).value('slipway_open_sockets', {}),
      (count) => count === 0,
      30_000,
    );
    expect(await (await chat().open()).ask({ messages: [user('x')] })).toMatchObject({ type: 'done' });
  });

  it('that says nothing but is there stays', async () => {
    await chat().start({ config: { heartbeatSeconds: 1 } });
    const client = await chat().open();
    let pings = 0;
    client.socket.on('ping', () => {
      pings += 1;
    });
    await eventually(
      () => pings,
      (count) => count >= 3,
      20_000,
    );
    client.send({ type: 'ping' });
    await client.hears(1);
    expect(client.events).toEqual([{ type: 'pong' }]);
  });

  it('leaves no turn behind when it says good-bye', async () => {
    await chat().start({ decodeDelay: 20, config: { resumeSeconds: 0 } });
    const client = await chat().open();
    client.chat({ ...LONG, max_tokens: 500, min_new_tokens: 500 });
    await chat().running(1);
    client.socket.close(1000);
    await chat().running(0);
  });
});

describe('draining', () => {
  it('answers what has begun, takes nothing new, and then says that it goes', async () => {
    await chat().start({ decodeDelay: 20 });
    const [busy, idle] = [await chat().open(), await chat().open()];
    const turn = busy.chat(LONG);
    await chat().running(1);
    const drained = chat().service.drain(20);
    expect(await idle.closed).toEqual([1001, expect.stringContaining('shutting down')]);
    const late = await busy.ask({ messages: [user('late')] });
    expect(late).toMatchObject({ type: 'error', error: { code: 'draining' }, retry_after: 5 });
    await expect(chat().open()).rejects.toMatchObject({ status: 503, body: { error: { code: 'draining' } } });
    expect(await busy.end(turn)).toMatchObject({ type: 'done', finish_reason: 'length' });
    expect((await busy.closed)[0]).toBe(1001);
    expect(await drained).toBe(true);
  });
});
