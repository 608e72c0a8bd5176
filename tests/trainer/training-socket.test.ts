/** `/ws/training/{id}`: a run followed over a WebSocket, by connections that break, and what may be asked over it. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TrainerConfig } from '@slipway/shared/contracts/trainer-config.ts';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ClientOptions } from 'ws';
import { eventually } from '../service/testing/raw-client.ts';
import { addressOf, type Event, SocketClient } from '../service/testing/socket-client.ts';
import { readFeed } from './testing/read-feed.ts';
import { ask, newFolders, post, recipe, startTestTrainer } from './testing/test-trainer.ts';
import { startTrainerProcess } from './testing/trainer-process.ts';

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const inProtocol = (key: string) => ['slipway.training', `slipway.key.${Buffer.from(key).toString('base64url')}`];
const slow = () => recipe().replace('max_steps: 30', 'max_steps: 100000');

async function startTrainer(config: Partial<TrainerConfig> = {}) {
  const folders = newFolders();
  const trainer = await startTestTrainer(folders, { kernel: { step_milliseconds: 5 }, config });
  onTestFinished(() => trainer.close());
  const { url } = trainer;
  return {
    ...{ folders, trainer, url },
    submit: async (text = recipe(), headers: Record<string, string> = {}): Promise<string> =>
      (await post(url, '/runs/train', text, headers)).body.id,
    follow: (id: string, query = '', options: ClientOptions = {}, protocols: string[] = []) =>
      SocketClient.open(url, options, protocols, `/ws/training/${id}${query}`),
  };
}

const idsOf = (events: readonly Event[]): number[] => events.flatMap(({ id }) => id ?? []);

describe('a run', () => {
  it('is told event by event as its feed tells it, and the socket ends with it', async () => {
    const { url, submit, follow } = await startTrainer();
    const id = await submit();
    const client = await follow(id);
    expect(await client.closed).toEqual([1000, 'the run has ended']);
    const { events } = await readFeed(`${url}/runs/${id}/events`);
    expect(client.events).toEqual(events.map(({ data }) => JSON.parse(data)));
    expect(client.events.at(-1).type).toBe('trainer.job.completed.v1');
    // To who has had all of it there is nothing more to say.
    const late = await follow(id, `?after=${events.length}`);
    expect(await late.closed).toEqual([1000, 'the run has ended']);
    expect(late.events).toEqual([]);
  });

  it('is followed over connections that break: no event is lost, none comes twice', async () => {
    const { url, submit, follow } = await startTrainer();
    const id = await submit(recipe().replace('max_steps: 30', 'max_steps: 150'));
    const seen: number[] = [];
    let connections = 0;
    for (let isOver = false; !isOver; connections++) {
      const client = await follow(id, `?after=${seen.at(-1) ?? 0}`);
      await Promise.race([client.hears(20), client.closed]);
      client.socket.terminate();
      const [code] = await client.closed;
      isOver = code === 1000;
      seen.push(...idsOf(client.events));
    }
    expect(connections).toBeGreaterThan(3);
    expect(seen).toEqual(seen.map((_, index) => index + 1));
    const { events } = await readFeed(`${url}/runs/${id}/events`);
    expect(seen).toHaveLength(events.length);
  });

  it('is followed on when the service was killed', async () => {
    const folders = newFolders();
    const killed = await startTrainerProcess(folders, { kernel: { step_milliseconds: 20 } });
    const { id } = (await post(killed.url, '/runs/train', recipe().replace('max_steps: 30', 'max_steps: 60'))).body;
    const before = await SocketClient.open(killed.url, {}, [], `/ws/training/${id}`);
    await before.hears(20);
    await killed.end('SIGKILL');
    expect((await before.closed)[0]).toBe(1006);
    const { url } = await startTrainerProcess(folders, { kernel: { step_milliseconds: 1 } });
    const path = `/ws/training/${id}?after=${before.events.at(-1).id}`;
    const after = await SocketClient.open(url, {}, [], path);
    expect((await after.closed)[0]).toBe(1000);
    const seen = idsOf([...before.events, ...after.events]);
    expect(seen).toEqual(seen.map((_, index) => index + 1));
    expect(after.events.at(-1).type).toBe('trainer.job.completed.v1');
  });
});

describe('messages', () => {
  it('pause, resume and cancel the run', async () => {
    const { submit, follow } = await startTrainer();
    const id = await submit(slow());
    const client = await follow(id);
    const hears = (isIt: (event: Event) => boolean) =>
      eventually(
        () => client.events.find(isIt),
        (event) => event !== undefined,
        30_000,
      );
    await hears(({ type }) => type === 'trainer.metrics.progress.v1');
    client.send({ type: 'pause' });
    await hears(({ type, what }) => type === 'asked' && what === 'pause');
    await hears(({ data }) => data?.kind === 'state' && data.state === 'paused');
    client.send({ type: 'ping' });
    await hears(({ type }) => type === 'pong');
    client.send({ type: 'resume' });
    await hears(({ type, what, run }) => type === 'asked' && what === 'resume' && run.id === id);
    await hears(({ type, data }) => type === 'trainer.metrics.config.v1' && data.resumed_from > 0);
    client.send({ type: 'cancel' });
    expect((await client.closed)[0]).toBe(1000);
    expect(client.events.filter(({ id: number }) => number !== undefined).at(-1)).toMatchObject({
      type: 'trainer.job.failed.v1',
      data: { state: 'cancelled' },
    });
  });

  it('that say nothing are answered with what is wrong, and too many of them end it', async () => {
    const { submit, follow } = await startTrainer();
    const id = await submit(slow());
    const client = await follow(id);
    const errors = () => client.events.filter(({ type }) => type === 'error').map(({ error }) => error);
    client.socket.send('{');
    client.socket.send(Buffer.from([1]));
    client.send({ type: 'stop' });
    await eventually(errors, (found) => found.length === 3);
    expect(errors().map(({ code }) => code)).toEqual(['invalid_json', 'malformed_request', 'invalid_field']);
    expect(errors()[2].message).toBe('type must be one of pause, resume, cancel, ping');
    for (let count = 0; count < 20; count++) client.send([]);
    expect((await client.closed)[0]).toBe(1008);
    const other = await follow(id);
    other.socket.send(JSON.stringify({ type: 'ping', padding: 'x'.repeat(5000) }));
    expect(await other.closed).toEqual([1009, 'a message may have at most 4096 bytes']);
  });
});

describe('a handshake', () => {
  it('for what is not there, or after what is no event, is refused before anything is opened', async () => {
    const { url, submit, follow } = await startTrainer();
    const id = await submit();
    await expect(follow('run-20260101-000000-000000')).rejects.toMatchObject({
      status: 404,
      body: { error: { code: 'not_found' } },
    });
    await expect(follow('..%2f..%2fsecret.txt')).rejects.toMatchObject({ status: 404 });
    await expect(follow(id, '?after=x')).rejects.toMatchObject({
      status: 422,
      body: { error: { code: 'invalid_field' } },
    });
    const plain = await ask(url, `/ws/training/${id}`);
    expect([plain.status, plain.headers.get('upgrade')]).toEqual([426, 'websocket']);
    expect(plain.body.error.message).toContain(`/runs/${id}/events`);
  });

  it('needs a key, in a header or as a subprotocol', async () => {
    const { url, submit, follow } = await startTrainer({ apiKey: 'secret/key+1=' });
    const id = await submit(slow(), bearer('secret/key+1='));
    for (const refused of [
      follow(id),
      follow(id, '', { headers: bearer('wrong') }),
      follow(id, '', {}, inProtocol('x')),
    ]) {
      await expect(refused).rejects.toMatchObject({ status: 401, body: { error: { code: 'unauthorized' } } });
    }
    const byHeader = await follow(id, '', { headers: bearer('secret/key+1=') });
    await byHeader.hears(3);
    // As a browser does.
    const socket = new WebSocket(addressOf(url, `/ws/training/${id}`), inProtocol('secret/key+1='));
    const [{ data }] = await once(socket, 'message');
    expect(JSON.parse(data)).toEqual(byHeader.events[0]);
    expect(socket.protocol).toBe('slipway.training');
    byHeader.send({ type: 'cancel' });
    expect((await byHeader.closed)[0]).toBe(1000);
  });

  it('sees the runs of its own key only, and that key is looked at again with every wish', async () => {
    const folders = newFolders();
    const file = join(folders.root, 'keys.json');
    const write = (...names: string[]) => {
      const keys = names.map((name) => ({
        ...{ name, scopes: ['train'] },
        sha256: createHash('sha256').update(`key-${name}`).digest('hex'),
      }));
      writeFileSync(file, JSON.stringify({ keys }), { mode: 0o600 });
    };
    write('one', 'two');
    const { submit, follow } = await startTrainer({ apiKeysFile: file });
    const id = await submit(slow(), bearer('key-one'));
    await expect(follow(id, '', { headers: bearer('key-two') })).rejects.toMatchObject({ status: 404 });
    const client = await follow(id, '', { headers: bearer('key-one') });
    write('two');
    await eventually(
      () => {
        client.send({ type: 'pause' });
        return client.events.find(({ type }) => type === 'error');
      },
      (event) => event?.what === 'pause' && event.error.code === 'unauthorized',
      20_000,
    );
  });
});

describe('a connection', () => {
  it('whose other end does not answer is let go', async () => {
    const { submit, follow } = await startTrainer({ heartbeatSeconds: 1 });
    const id = await submit(slow());
    const [dead, alive] = [await follow(id, '', { autoPong: false }), await follow(id)];
    expect((await dead.closed)[0]).toBe(1006);
    alive.send({ type: 'cancel' });
    expect((await alive.closed)[0]).toBe(1000);
  });

  it('is told when the service leaves, and there are only so many', async () => {
    const { trainer, submit, follow } = await startTrainer({ maxConnections: 16 });
    const id = await submit(slow());
    const clients = [];
    for (let count = 0; count < 4; count++) clients.push(await follow(id));
    await expect(follow(id)).rejects.toMatchObject({ status: 503, body: { error: { code: 'overloaded' } } });
    await trainer.drain(30);
    for (const client of clients) expect(await client.closed).toEqual([1001, 'this instance is shutting down']);
  });
});
