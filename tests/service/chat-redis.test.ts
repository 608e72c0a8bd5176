/** Conversations kept in a real Redis that is killed, started again or stays away, between turns and in the midst of one. */
import { setTimeout as sleep } from 'node:timers/promises';
import { hasRedisServer, type RedisServer, startRedisServer } from '@slipway/shared/jobs/testing/redis-server.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { assistant, ChatClient, user } from './testing/chat-client.ts';
import { socketServices } from './testing/socket-service.ts';

const chat = socketServices();
/** Two seconds of decoding. */
const LONG = { messages: [user('two')], max_tokens: 100, min_new_tokens: 100, session_id: 'a' };

describe.skipIf(!hasRedisServer)('a Redis (needs redis-server)', { timeout: 60_000 }, () => {
  let redis: RedisServer;
  let http: ChatClient;
  const content = async () => (await http.session('a')).body.messages;

  beforeEach(async () => {
    redis = await startRedisServer();
    await chat().start({ decodeDelay: 20, config: { sessionsUrl: redis.url } });
    http = new ChatClient(chat().service.url);
    await http.ask({ messages: [user('one')], session_id: 'a' });
  });
  afterEach(() => redis.stop());

  it('that is started again between turns is waited for', async () => {
    const before = await content();
    await redis.kill();
    const asked = http.ask({ messages: [user('two')], session_id: 'a' });
    await sleep(500);
    await redis.start();
    const { status, body } = await asked;
    expect(status).toBe(200);
    expect(await content()).toEqual([...before, user('two'), assistant(body.response)]);
  });

  it('that stays away refuses turns of sessions, not others, and has lost nothing when it is back', async () => {
    const before = await content();
    await redis.kill();
    const client = await chat().open();
    const [byHttp, bySocket, other] = await Promise.all([
      http.ask({ messages: [user('two')], session_id: 'a' }),
      client.ask({ messages: [user('two')], session_id: 'b' }),
      http.ask({ messages: [user('two')] }),
    ]);
    expect([byHttp.status, byHttp.body.error.code]).toEqual([503, 'sessions_unavailable']);
    expect(byHttp.headers.get('retry-after')).toBe('5');
    expect(bySocket).toMatchObject({ type: 'error', error: { code: 'sessions_unavailable' }, retry_after: 5 });
    expect(other.status).toBe(200);
    await redis.start();
    expect(await content()).toEqual(before);
    expect((await http.ask({ messages: [user('two')], session_id: 'a' })).status).toBe(200);
    expect((await http.session('b')).status).toBe(404);
  });

  it('that is started again while an answer is made keeps it', async () => {
    const before = await content();
    const client = await chat().open();
    const turn = client.chat(LONG);
    await client.hears(5);
    await redis.kill();
    await redis.start();
    expect(await client.end(turn)).toMatchObject({ type: 'done', session_id: 'a' });
    expect(await content()).toEqual([...before, user('two'), assistant(client.text(turn))]);
  });

  it('that is away when an answer would be kept says so, keeps none of it, and takes the turn again', async () => {
    const before = await content();
    const client = await chat().open();
    const turn = client.chat(LONG);
    await client.hears(5);
    await redis.kill();
    expect(await client.end(turn)).toMatchObject({ type: 'error', error: { code: 'sessions_unavailable' } });
    await redis.start();
    expect(await content()).toEqual(before);
    client.events.length = 0;
    client.chat(LONG, turn);
    expect(await client.end(turn)).toMatchObject({ type: 'done' });
    expect(await content()).toEqual([...before, user('two'), assistant(client.text(turn))]);
  });

  it('that is killed again and again loses no turn that was answered, and doubles none', async () => {
    const answered: string[] = [];
    const killing = (async () => {
      for (let round = 0; round < 4; round++) {
        await sleep(300);
        await redis.kill();
        await redis.start();
      }
    })();
    for (let index = 0; index < 12; index++) {
      const { status } = await http.ask({ messages: [user(`turn ${index}`)], session_id: 'a' });
      if (status === 200) answered.push(`turn ${index}`);
    }
    await killing;
    const messages: { role: string; content: string }[] = await content();
    expect(messages.map(({ role }) => role)).toEqual(
      messages.map((_, index) => (index % 2 === 0 ? 'user' : 'assistant')),
    );
    // One may be kept whose client was told that nobody knows.
    const kept = messages.filter(({ role }) => role === 'user').map(({ content }) => content);
    expect(kept.filter((text) => ['one', ...answered].includes(text))).toEqual(['one', ...answered]);
    expect(new Set(kept).size).toBe(kept.length);
    expect(answered.length).toBeGreaterThan(6);
  });
});
