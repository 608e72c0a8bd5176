/** Who may open `/ws/chat`, and what each may hear of it: keys, pages of other sites, limits. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { user } from './testing/chat-client.ts';
import { eventually } from './testing/raw-client.ts';
import { addressOf, type Event } from './testing/socket-client.ts';
import { socketServices } from './testing/socket-service.ts';

const chat = socketServices();
/** Long enough to be broken off; 20 ms for each token. */
const LONG = { messages: [user('hello')], max_tokens: 60, min_new_tokens: 60 };

describe('who may', () => {
  const keysFile = () => {
    const file = join(chat().folder, 'keys.json');
    const keys = ['one', 'two'].map((name) => ({
      name,
      sha256: createHash('sha256').update(`key-${name}`).digest('hex'),
      scopes: ['infer'],
    }));
    writeFileSync(file, JSON.stringify({ keys }), { mode: 0o600 });
    return file;
  };
  const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
  const inProtocol = (key: string) => ['slipway.chat', `slipway.key.${Buffer.from(key).toString('base64url')}`];

  it('needs a key, in a header or as a subprotocol', async () => {
    await chat().start({ config: { apiKey: 'secret/key+1=' } });
    for (const refused of [
      chat().open(),
      chat().open(bearer('wrong')),
      chat().open({}, inProtocol('wrong')),
      chat().open({}, inProtocol('a b\n')),
    ]) {
      await expect(refused).rejects.toMatchObject({ status: 401, body: { error: { code: 'unauthorized' } } });
    }
    const [byHeader, byProtocol] = [
      await chat().open(bearer('secret/key+1=')),
      await chat().open({}, inProtocol('secret/key+1=')),
    ];
    for (const client of [byHeader, byProtocol]) {
      expect(await client.ask({ messages: [user('hello')] })).toMatchObject({ type: 'done' });
    }
    expect([byHeader.socket.protocol, byProtocol.socket.protocol]).toEqual(['', 'slipway.chat']);
    expect(JSON.stringify(chat().log)).not.toContain('secret');
  });

  it('asks as a browser does, by the global WebSocket', async () => {
    await chat().start({ config: { apiKey: 'secret' } });
    const socket = new WebSocket(addressOf(chat().service.url), inProtocol('secret'));
    const events: Event[] = [];
    socket.addEventListener('message', ({ data }) => events.push(JSON.parse(data)));
    await new Promise((resolve) => socket.addEventListener('open', resolve));
    socket.send(JSON.stringify({ type: 'chat', messages: [user('hello')], max_tokens: 4 }));
    await eventually(
      () => events.at(-1)?.type,
      (type) => type === 'done',
    );
    const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve));
    socket.close(1000);
    expect((await closed).wasClean).toBe(true);
    const refused = new WebSocket(addressOf(chat().service.url), inProtocol('wrong'));
    await new Promise((resolve) => refused.addEventListener('error', resolve));
  });

  it('hears and cancels its own turns only', async () => {
    await chat().start({ decodeDelay: 20, config: { apiKeysFile: keysFile() } });
    const [one, two] = [await chat().open(bearer('key-one')), await chat().open(bearer('key-two'))];
    const turn = one.chat({ ...LONG, messages: [user('my secret')] });
    await one.hears(3);
    two.send({ type: 'resume', turn });
    two.send({ type: 'cancel', turn });
    await two.hears(2);
    expect(two.events.map(({ type, error }) => [type, error.code])).toEqual([
      ['error', 'not_found'],
      ['error', 'not_found'],
    ]);
    // The same id is another turn.
    two.events.length = 0;
    two.chat({ messages: [user('hi')] }, turn);
    expect(await two.end(turn)).toMatchObject({ type: 'done' });
    expect(await one.end(turn)).toMatchObject({ type: 'done', finish_reason: 'length' });
  });

  it('is looked at again with every turn', async () => {
    const file = keysFile();
    await chat().start({ config: { apiKeysFile: file } });
    const client = await chat().open(bearer('key-one'));
    writeFileSync(file, JSON.stringify({ keys: [] }), { mode: 0o600 });
    await eventually(
      async () => (await client.ask({ messages: [user('x')] })).error?.code,
      (code) => code === 'unauthorized',
      20_000,
    );
  });

  it('is no page of another site', async () => {
    await chat().start();
    const { host } = new URL(chat().service.url);
    for (const headers of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: `http://${host}`, 'sec-fetch-site': 'cross-site' },
    ]) {
      await expect(chat().open({ headers })).rejects.toMatchObject({
        status: 403,
        body: { error: { code: 'forbidden' } },
      });
    }
    await chat().open({ headers: { origin: `http://${host}` } });
    await expect(chat().open({ headers: { host: 'evil.example' } })).rejects.toMatchObject({ status: 403 });
  });

  it('is a page that was named', async () => {
    await chat().start({ config: { corsOrigins: ['https://app.example.com'] } });
    const client = await chat().open({ headers: { origin: 'https://app.example.com' } });
    expect(await client.ask({ messages: [user('x')] })).toMatchObject({ type: 'done' });
    await expect(chat().open({ headers: { origin: 'https://other.example.com' } })).rejects.toMatchObject({
      status: 403,
    });
  });

  it('is held to the rate limit, and told when to ask again', async () => {
    await chat().start({ config: { rateLimitRpm: 3 } });
    const client = await chat().open();
    const ends: Event[] = [];
    for (let turn = 0; turn < 4; turn++) ends.push(await client.ask({ messages: [user('x')] }));
    expect(ends.map(({ type }) => type)).toEqual(['done', 'done', 'error', 'error']);
    expect(ends.at(-1)).toMatchObject({ error: { code: 'rate_limited' }, retry_after: expect.any(Number) });
    await expect(chat().open()).rejects.toMatchObject({ status: 429 });
  });

  it('is one of a quarter of all connections', async () => {
    await chat().start({ config: { maxConnections: 16 } });
    const first = await chat().open();
    for (let count = 1; count < 4; count++) await chat().open();
    await expect(chat().open()).rejects.toMatchObject({ status: 503, body: { error: { code: 'overloaded' } } });
    first.socket.close();
    await eventually(
      () =>
        chat()
          .open()
          .then(
            () => true,
            () => false,
          ),
      (isOpen) => isOpen,
    );
  });
});
