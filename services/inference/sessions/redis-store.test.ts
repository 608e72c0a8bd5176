/** The Redis store against a real server: the conformance suite, and a server that is killed, stopped, full, or wants a password. */

import { hasRedisServer, type RedisServer, startRedisServer } from '@slipway/shared/jobs/testing/redis-server.ts';
import { createLogger, silence } from '@slipway/shared/lib/log.ts';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { sessionStoreConformance } from './conformance.ts';
import { openRedisStore } from './redis-store.ts';
import type { SessionStore } from './session-store.ts';

const BOUNDS = { ttlSeconds: 600, maxSessions: 100 };
const KEY = { owner: 'app', id: 'talk' };
const first = { basis: null, revision: 'r1', document: 'one' };
const log = createLogger({ service: 'test', level: 'silent', destination: silence });

describe.skipIf(!hasRedisServer)('with redis-server', () => {
  let server: RedisServer;
  const open = new Set<SessionStore>();
  beforeAll(async () => {
    server = await startRedisServer();
  });
  afterAll(() => server.stop());
  afterEach(async () => {
    for (const store of open) await store.close();
    open.clear();
  });

  function openStore(bounds = BOUNDS, url = server.url): SessionStore {
    const store = openRedisStore(url, bounds, log);
    open.add(store);
    return store;
  }

  async function emptied(bounds = BOUNDS): Promise<SessionStore> {
    const client = new Redis(server.url);
    await client.flushall();
    client.disconnect();
    return openStore(bounds);
  }

  sessionStoreConformance('Redis', async (bounds) => ({
    store: await emptied(bounds),
    reopen: async () => {
      await server.kill();
      await server.start();
      return openStore(bounds);
    },
  }));

  it('waits for a server that is restarted, and has lost nothing that was acknowledged', async () => {
    const store = await emptied();
    await store.write(KEY, first);
    let acknowledged = 1;
    const writing = (async () => {
      while (acknowledged < 60) {
        const next = acknowledged + 1;
        await store.write(KEY, { basis: `r${acknowledged}`, revision: `r${next}`, document: String(next) });
        acknowledged = next;
      }
    })();
    await server.kill();
    await server.start();
    await writing;
    expect(await store.read(KEY)).toMatchObject({ revision: 'r60', document: '60' });
  });

  it('says so when the server stays away, and works again when it is back', async () => {
    const store = await emptied();
    await store.write(KEY, first);
    await server.kill();
    const asked = [store.read(KEY), store.list('app', 1), store.write(KEY, { ...first, basis: 'r1', revision: 'r2' })];
    for (const outcome of await Promise.allSettled(asked)) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'sessions_unavailable', message: expect.stringContaining('Redis') },
      });
    }
    await server.start();
    expect(await store.read(KEY)).toMatchObject({ revision: 'r1' });
    await store.write(KEY, { basis: 'r1', revision: 'r2', document: 'two' });
  });

  it('does not wait for ever for a server that hangs', async () => {
    const store = await emptied();
    await store.write(KEY, first);
    server.pause();
    try {
      await expect(store.read(KEY)).rejects.toMatchObject({ code: 'sessions_unavailable' });
    } finally {
      server.resume();
    }
    expect(await store.read(KEY)).toMatchObject({ revision: 'r1' });
  });

  it('repeats what a full server says', async () => {
    const store = await emptied();
    const client = new Redis(server.url);
    await client.config('SET', 'maxmemory', '1');
    try {
      await expect(store.write(KEY, first)).rejects.toMatchObject({
        code: 'sessions_unavailable',
        message: expect.stringContaining('OOM'),
      });
    } finally {
      await client.config('SET', 'maxmemory', '0');
      client.disconnect();
    }
  });

  it('leaves nothing behind in the server when all has expired', async () => {
    const store = await emptied({ ...BOUNDS, ttlSeconds: 1 });
    for (const id of ['a', 'b', 'c']) await store.write({ ...KEY, id }, first);
    const client = new Redis(server.url);
    await expect.poll(() => client.dbsize(), { timeout: 10_000 }).toBe(0);
    client.disconnect();
  });

  it('takes a password from the address, and never repeats it', async () => {
    const locked = await startRedisServer({ password: 'correct-horse' });
    try {
      const store = openStore(BOUNDS, locked.url);
      await store.write(KEY, first);
      expect(await store.read(KEY)).toMatchObject({ document: 'one' });
      const stranger = openStore(BOUNDS, locked.url.replace('correct-horse', 'wrong-horse'));
      const error = await stranger.read(KEY).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'sessions_unavailable' });
      expect(String(error)).not.toContain('horse');
    } finally {
      await locked.stop();
    }
  });
});
