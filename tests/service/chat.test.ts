/** `/api/v1/chat`: conversations with and without a session, what is kept of them, and what is refused. */

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { assistant, ChatClient, type Message, STRICT_TEMPLATE, system, user } from './testing/chat-client.ts';
import { allEvents } from './testing/event-source.ts';
import { eventually } from './testing/raw-client.ts';
import { startTestService, type TestService, type TestServiceOptions } from './testing/test-service.ts';

let folder: string;
let service: TestService | undefined;
let chat: ChatClient;
let template = STRICT_TEMPLATE;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-chat-'));
  template = STRICT_TEMPLATE;
});
afterEach(async () => {
  await service?.close();
  service = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function start(options: TestServiceOptions = {}): Promise<TestService> {
  await service?.close();
  service = await startTestService({
    chatTemplate: () => template,
    ...options,
    config: { dataFolder: join(folder, 'data'), ...options.config },
  });
  chat = new ChatClient(service.url);
  return service;
}

describe('without a session', () => {
  it('answers a whole conversation, and keeps nothing', async () => {
    await start();
    const { status, body } = await chat.ask({ messages: [system('be brief'), user('hello')] });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      session_id: null,
      dropped_messages: 0,
      finish_reason: 'length',
      model: 'synthetic',
      usage: { prompt_tokens: '<system>be brief\n<user>hello\n<assistant>'.length, completion_tokens: 8 },
    });
    expect(body.tokens_used).toBe(body.usage.prompt_tokens + 8);
    expect(body.processing_time).toBeGreaterThan(0);
    expect(body.response).toBe(
      (await service?.generate({ ...GENERATE, prompt: '<system>be brief\n<user>hello\n<assistant>' }))?.body.text,
    );
    expect((await chat.list()).body).toEqual({ sessions: [] });
  });

  it('streams the same', async () => {
    await start();
    const body = { messages: [user('hello')] };
    const whole = (await chat.ask(body)).body;
    const events = await allEvents(await chat.stream(body));
    const last = events.at(-1);
    expect(events.slice(0, -1).map(({ event, data }) => [event, Object.keys(data as object)])).toEqual(
      events.slice(0, -1).map(() => [undefined, ['id', 'session_id', 'model', 'response']]),
    );
    expect(events.map(({ data }) => (data as { response: string }).response).join('')).toBe(whole.response);
    expect(last).toMatchObject({
      event: 'done',
      data: { response: '', tokens_used: whole.tokens_used, finish_reason: 'length' },
    });
  });
});

const GENERATE = { temperature: 0, max_new_tokens: 8, min_new_tokens: 8 };

describe('with a session', () => {
  it('goes on as if the whole conversation had been sent', async () => {
    await start();
    const first = (await chat.ask({ messages: [system('be brief'), user('one')], session_id: 'new' })).body;
    expect(first.session_id).toMatch(/^chat-[0-9a-f]{32}$/);
    const second = (await chat.ask({ messages: [user('two')], session_id: first.session_id })).body;
    const history = [system('be brief'), user('one'), assistant(first.response), user('two')];
    const stateless = (await chat.ask({ messages: history })).body;
    expect(second).toMatchObject({ response: stateless.response, session_id: first.session_id, dropped_messages: 0 });
    expect(second.usage.prompt_tokens).toBe(stateless.usage.prompt_tokens);
    const { body } = await chat.session(first.session_id);
    expect(body).toMatchObject({
      session_id: first.session_id,
      forgotten_messages: 0,
      messages: [...history, assistant(second.response)],
    });
    expect(Date.parse(body.updated_at)).toBeGreaterThanOrEqual(Date.parse(body.created_at));
    expect(body.expires_in_seconds).toBeGreaterThan(6 * 86_400);
  });

  it('keeps its history across a restart', async () => {
    await start();
    const first = (await chat.ask({ messages: [user('one')], session_id: 'mine' })).body;
    await start();
    const second = (await chat.ask({ messages: [user('two')], session_id: 'mine' })).body;
    expect((await chat.session('mine')).body.messages).toEqual([
      user('one'),
      assistant(first.response),
      user('two'),
      assistant(second.response),
    ]);
  });

  it('drops the oldest turns whole where the context is full, keeps the instructions, and says so', async () => {
    await start({ contextLength: 200, config: { defaultMaxNewTokens: 8 } });
    const bytesOf = (messages: Message[]) =>
      Buffer.byteLength(`${messages.map(({ role, content }) => `<${role}>${content}\n`).join('')}<assistant>`);
    let mostDropped = 0;
    for (let index = 0; index < 6; index++) {
      const asked = user(`turn ${index} ${'x'.repeat(30)}`);
      const { body } = await chat.ask({
        messages: [...(index === 0 ? [system('be brief')] : []), asked],
        session_id: 'long',
      });
      const [instructions, ...kept] = (await chat.session('long')).body.messages.slice(0, -1);
      const shown = (dropped: number) => [instructions, ...kept.slice(dropped)];
      expect((await chat.ask({ messages: shown(body.dropped_messages) })).body.response).toBe(body.response);
      expect(body.usage.prompt_tokens).toBe(bytesOf(shown(body.dropped_messages)));
      expect(body.usage.prompt_tokens).toBeLessThanOrEqual(192);
      // No more went than had to: a turn is two messages.
      if (body.dropped_messages > 0) expect(bytesOf(shown(body.dropped_messages - 2))).toBeGreaterThan(192);
      mostDropped = Math.max(mostDropped, body.dropped_messages);
    }
    expect(mostDropped).toBeGreaterThan(2);
    expect((await chat.session('long')).body.messages).toHaveLength(13);
  });

  it('takes new instructions in place of the old', async () => {
    await start();
    const first = (await chat.ask({ messages: [system('be brief'), user('one')], session_id: 'a' })).body;
    const second = (await chat.ask({ messages: [system('be long'), user('two')], session_id: 'a' })).body;
    const messages = [system('be long'), user('one'), assistant(first.response), user('two')];
    expect(second.response).toBe((await chat.ask({ messages })).body.response);
    expect((await chat.session('a')).body.messages).toEqual([...messages, assistant(second.response)]);
  });

  it('forgets the oldest turns of a session that grows too large, and says so', async () => {
    await start();
    const large = 'x'.repeat(100_000);
    const imported = (name: string) => [user(`${name} ${large}`), assistant('yes'), user(name)];
    for (const name of ['a', 'b', 'c']) {
      expect((await chat.ask({ messages: imported(name), session_id: 'large' })).body.dropped_messages).toBeGreaterThan(
        0,
      );
    }
    const { body } = await chat.session('large');
    expect(body.forgotten_messages).toBe(4);
    expect(body.messages.map(({ content }: { content: string }) => content.slice(0, 1))).toEqual(
      expect.arrayContaining(['b', 'c']),
    );
    expect(body.messages).toHaveLength(8);
    const { status, body: refused } = await chat.ask({ messages: [user('x'.repeat(140_000))], session_id: 'large' });
    expect([status, refused.error.code]).toEqual([422, 'invalid_field']);
  });

  it('answers one turn at a time', async () => {
    await start({ decodeDelay: 20 });
    const slow = chat.ask({ messages: [user('one')], session_id: 'a', max_tokens: 40, min_new_tokens: 40 });
    await eventually(
      () => service?.engine.stats().running,
      (running) => running === 1,
    );
    const second = await chat.ask({ messages: [user('two')], session_id: 'a' });
    expect([second.status, second.body.error.code]).toEqual([409, 'conflict']);
    expect((await chat.ask({ messages: [user('two')], session_id: 'b' })).status).toBe(200);
    expect((await slow).status).toBe(200);
    expect((await chat.ask({ messages: [user('two')], session_id: 'a' })).status).toBe(200);
    expect((await chat.session('a')).body.messages).toHaveLength(4);
  });

  it('keeps nothing of a turn whose client leaves, and is free at once', async () => {
    await start({ decodeDelay: 20 });
    await chat.ask({ messages: [user('one')], session_id: 'a' });
    for (const isStream of [false, true]) {
      const leave = new AbortController();
      const long = { messages: [user('two')], session_id: 'a', max_tokens: 500, min_new_tokens: 500 };
      const asked = isStream ? chat.stream(long, leave.signal) : chat.ask(long, leave.signal);
      asked.catch(() => {});
      await eventually(
        () => service?.engine.stats().running,
        (running) => running === 1,
      );
      if (isStream) await asked;
      leave.abort();
      await eventually(
        () => service?.engine.stats().running,
        (running) => running === 0,
      );
      expect((await chat.session('a')).body.messages).toHaveLength(2);
    }
    expect((await chat.ask({ messages: [user('two')], session_id: 'a' })).status).toBe(200);
  });

  it('does not come back when it is deleted while a turn is answered', async () => {
    await start({ decodeDelay: 20 });
    await chat.ask({ messages: [user('one')], session_id: 'a' });
    const slow = chat.ask({ messages: [user('two')], session_id: 'a', max_tokens: 40, min_new_tokens: 40 });
    await eventually(
      () => service?.engine.stats().running,
      (running) => running === 1,
    );
    expect((await chat.session('a', 'DELETE')).body).toEqual({ session_id: 'a', deleted: true });
    expect(await slow).toMatchObject({ status: 409, body: { error: { code: 'conflict' } } });
    expect((await chat.session('a')).status).toBe(404);
    expect((await chat.session('a', 'DELETE')).status).toBe(404);
  });

  it('is another after it expired, where the client chose its id; one of ours is gone', async () => {
    await start({ config: { sessionTtlSeconds: 1 } });
    const given = (await chat.ask({ messages: [user('one')], session_id: 'new' })).body.session_id;
    await chat.ask({ messages: [user('one')], session_id: 'mine' });
    await eventually(
      async () => (await chat.list()).body.sessions.length,
      (count) => count === 0,
    );
    expect((await chat.ask({ messages: [user('two')], session_id: given })).status).toBe(404);
    expect((await chat.ask({ messages: [user('two')], session_id: 'mine' })).status).toBe(200);
    expect((await chat.session('mine')).body.messages).toHaveLength(2);
  });

  it('goes on with another model, by its template', async () => {
    await start();
    const first = (await chat.ask({ messages: [user('one')], session_id: 'a' })).body;
    template = '{% for m in messages %}[{{ m.role }}: {{ m.content }}]{% endfor %}[assistant:';
    const second = (await chat.ask({ messages: [user('two')], session_id: 'a' })).body;
    const prompt = `[user: one][assistant: ${first.response}][user: two][assistant:`;
    expect(second.response).toBe((await service?.generate({ ...GENERATE, prompt }))?.body.text);
  });

  it('keeps a turn whose answer had been kept for another session', async () => {
    await start({ config: { responseCacheMb: 8 } });
    const one = await chat.ask({ messages: [user('hello')], session_id: 'one' });
    const other = await chat.ask({ messages: [user('hello')], session_id: 'other' });
    expect([one, other].map(({ headers }) => headers.get('x-slipway-cache'))).toEqual(['miss', 'hit']);
    expect(other.body).toMatchObject({ session_id: 'other', response: one.body.response });
    expect((await chat.session('other')).body.messages).toEqual([user('hello'), assistant(one.body.response)]);
  });

  it('lists the latest first', async () => {
    await start();
    for (const id of ['a', 'b', 'c', 'a']) await chat.ask({ messages: [user('hi')], session_id: id });
    const ids = (body: { sessions: { session_id: string }[] }) => body.sessions.map((session) => session.session_id);
    expect(ids((await chat.list()).body)).toEqual(['a', 'c', 'b']);
    expect(ids((await chat.list('?limit=1')).body)).toEqual(['a']);
    for (const limit of ['0', '-1', 'x', '10001']) expect((await chat.list(`?limit=${limit}`)).status).toBe(422);
  });
});

describe('what is refused, with nothing kept of it', () => {
  it.each([
    ['nothing', {}, 'messages must be'],
    ['no messages', { messages: [] }, 'messages must be'],
    ['a message without content', { messages: [{ role: 'user' }] }, 'messages must be'],
    ['an unknown role', { messages: [{ role: 'robot', content: 'x' }] }, 'messages must be'],
    ['an unknown field of a message', { messages: [{ role: 'user', content: 'x', name: 'y' }] }, 'messages must be'],
    ['too many messages', { messages: Array(1001).fill(user('x')) }, 'messages must be'],
    ['nothing to answer', { messages: [user('x'), assistant('y')] }, 'messages must end with what the user says'],
    ['instructions only', { messages: [system('only')] }, 'messages must end with what the user says'],
    ['a path as a session id', { messages: [user('x')], session_id: '../x' }, 'session_id must be'],
    ['an empty session id', { messages: [user('x')], session_id: '' }, 'session_id must be'],
    ['a long session id', { messages: [user('x')], session_id: 'x'.repeat(129) }, 'session_id must be'],
    ['no tokens', { messages: [user('x')], max_tokens: 0 }, 'max_tokens must be an integer from 1 to 512'],
    ['a name of /generate', { messages: [user('x')], max_new_tokens: 5 }, '"max_new_tokens" is not a known field'],
    ['several answers', { messages: [user('x')], num_return_sequences: 2 }, 'not a known field'],
    ['a prompt', { messages: [user('x')], prompt: 'x' }, 'not a known field'],
    ['too high a temperature', { messages: [user('x')], temperature: 3 }, 'temperature must be'],
  ])('%s', async (_, fields, message) => {
    await start();
    const { status, body } = await chat.ask({ max_tokens: 8, ...fields });
    expect([status, body.error.code]).toEqual([422, 'invalid_field']);
    expect(body.error.message).toContain(message);
  });

  it('roles that the template refuses, with its words', async () => {
    await start();
    await chat.ask({ messages: [user('one')], session_id: 'a' });
    for (const messages of [
      [user('two'), user('three')],
      [assistant('me'), user('two'), user('three')],
    ]) {
      const { status, body } = await chat.ask({ messages, session_id: 'a' });
      expect([status, body.error.code]).toEqual([422, 'invalid_field']);
      expect(body.error.message).toContain('roles must alternate user/assistant');
    }
    expect((await chat.session('a')).body.messages).toHaveLength(2);
  });

  it.each([
    ['a template that throws', "{{ raise_exception('never') }}", 'never'],
    ['a template that fails', '{{ messages.nothing() }}', 'cannot render'],
    ['a template that is broken', '{% for m in messages %}', 'chat template'],
  ])('%s', async (_, source, message) => {
    await start();
    template = source;
    for (const session of [{}, { session_id: 'a' }]) {
      const { status, body } = await chat.ask({ messages: [user('x')], ...session });
      expect(status).toBe(422);
      expect(body.error.message).toContain(message);
    }
    expect((await chat.session('a')).status).toBe(404);
  });

  it('a model without a template', async () => {
    service = await startTestService({ config: { dataFolder: folder } });
    chat = new ChatClient(service.url);
    const { status, body } = await chat.ask({ messages: [user('x')] });
    expect([status, body.error.message]).toEqual([422, expect.stringContaining('has no chat template')]);
  });

  it('a turn that does not fit the context', async () => {
    await start({ contextLength: 64 });
    const { status, body } = await chat.ask({ messages: [user('x'.repeat(100))], session_id: 'a' });
    expect([status, body.error.message]).toEqual([422, expect.stringContaining('shorten it')]);
    expect((await chat.session('a')).status).toBe(404);
  });

  it('sessions where their file cannot be written, while conversations without go on', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    await start({ config: { dataFolder: file } });
    const { status, body, headers } = await chat.ask({ messages: [user('x')], session_id: 'a' });
    expect([status, body.error.code]).toEqual([503, 'sessions_unavailable']);
    expect(headers.get('retry-after')).toBe('10');
    expect((await chat.ask({ messages: [user('x')] })).status).toBe(200);
    rmSync(file);
    expect((await chat.ask({ messages: [user('x')], session_id: 'a' })).status).toBe(200);
  });

  it('ids that are no ids', async () => {
    await start();
    for (const id of ['%2e%2e%2fetc', 'a%00b', "'--", 'x'.repeat(200)]) {
      expect((await chat.session(id)).status).toBe(422);
      expect((await chat.session(id, 'DELETE')).status).toBe(422);
    }
    expect((await chat.session('constructor')).status).toBe(404);
  });
});

describe('sessions of several keys', () => {
  const clientOf = (key: string) => new ChatClient(service?.url ?? '', { authorization: `Bearer ${key}` });

  it('are each its own; admin may see all', async () => {
    const file = join(folder, 'keys.json');
    const keys = ['one', 'two'].map((name) => ({
      name,
      sha256: createHash('sha256').update(`key ${name}`).digest('hex'),
      scopes: ['infer'],
    }));
    writeFileSync(file, JSON.stringify({ keys }));
    await start({ config: { apiKeysFile: file, apiKey: 'operator' } });
    expect((await chat.ask({ messages: [user('x')] })).status).toBe(401);
    const [one, two, admin] = [clientOf('key one'), clientOf('key two'), clientOf('operator')];
    await one.ask({ messages: [user('my secret')], session_id: 'talk' });
    expect((await two.session('talk')).status).toBe(404);
    expect((await two.session('talk', 'DELETE')).status).toBe(404);
    await two.ask({ messages: [user('other')], session_id: 'talk' });
    expect((await two.session('talk')).body.messages[0]).toEqual(user('other'));
    expect((await two.session('talk', 'GET', '?owner=one')).status).toBe(403);
    expect((await two.list('?owner=one')).status).toBe(403);
    expect((await admin.session('talk')).status).toBe(404);
    expect((await admin.session('talk', 'GET', '?owner=one')).body.messages[0]).toEqual(user('my secret'));
    expect((await admin.session('talk', 'DELETE', '?owner=one')).status).toBe(200);
    expect((await one.list()).body.sessions).toEqual([]);
    expect((await two.list()).body.sessions).toHaveLength(1);
  });
});
