/**
 * Sessions in Redis, for several instances of the service. Redis decides by its own clock what has expired. Every command may be sent
 * again without harm, so that a restart of Redis is waited for; when it takes too long, the caller is told.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import { Redis } from 'ioredis';
import {
  conflict,
  type SessionBounds,
  type SessionKey,
  type SessionStore,
  type SessionSummary,
  type SessionWrite,
  type StoredSession,
} from './session-store.ts';

/** How long a command may take, with the connection being made again meanwhile. */
const PATIENCE_MILLISECONDS = 3000;
const COMMAND_MILLISECONDS = 2000;
const LONGEST_PAUSE_MILLISECONDS = 500;
const RETRY_AFTER = 5;

/**
 * Compares and writes as one act. KEYS: session, the owner's index (ids by when they expire). ARGV: basis or nothing, revision,
 * document, milliseconds to live, most sessions, id, beginning of the owner's session keys.
 */
const WRITE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HGET', KEYS[1], 'revision') or ''
if held == ARGV[2] then return 'kept' end
if held ~= ARGV[1] then return 'conflict' end
redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'document', ARGV[3], 'updated_at', now)
redis.call('HSETNX', KEYS[1], 'created_at', now)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[6])
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[2], ARGV[4]) end
local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[5])
if over > 0 then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, over - 1)) do
    redis.call('DEL', ARGV[7] .. id)
    redis.call('ZREM', KEYS[2], id)
  end
end
return 'kept'
`;

/** `url`: redis://... or rediss://...; connects when it is first asked something. */
export function openRedisStore(url: string, bounds: SessionBounds, log: Logger): SessionStore {
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: COMMAND_MILLISECONDS,
    commandTimeout: COMMAND_MILLISECONDS,
    retryStrategy: (times) => Math.min(times * 50, LONGEST_PAUSE_MILLISECONDS),
    // What is sent again, and until when, is decided here: a command must not run after its caller was told that it failed.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: null,
  });
  return new RedisStore(client, bounds, log);
}

class RedisStore implements SessionStore {
  readonly #client: Redis;
  readonly #bounds: SessionBounds;
  /** Why there is no connection. */
  #trouble = 'it does not answer';

  constructor(client: Redis, bounds: SessionBounds, log: Logger) {
    this.#client = client;
    this.#bounds = bounds;
    let isDown = false;
    client.on('error', (error: Error) => {
      this.#trouble = error.message === '' ? error.name : error.message;
      if (!isDown) log.error({ reason: this.#trouble }, 'the Redis of the sessions cannot be reached');
      isDown = true;
    });
    client.on('ready', () => {
      if (isDown) log.info('the Redis of the sessions is reached again');
      isDown = false;
    });
  }

  async read(key: SessionKey): Promise<StoredSession | undefined> {
    const [fields, milliseconds] = await this.#ask(async () => {
      const name = sessionName(key);
      // One round trip, and nothing of others between the two.
      const results = await this.#client
        .multi()
        .hmget(name, 'revision', 'document', 'created_at', 'updated_at')
        .pttl(name)
        .exec();
      return valuesOf(results);
    });
    if (!Array.isArray(fields)) return undefined;
    const [revision, document, createdAt, updatedAt] = fields;
    if (typeof revision !== 'string' || typeof document !== 'string') return undefined;
    return { ...summary(key.id, createdAt, updatedAt, milliseconds), revision, document };
  }

  async write(key: SessionKey, { basis, revision, document }: SessionWrite): Promise<void> {
    const outcome = await this.#ask(() =>
      this.#client.eval(
        WRITE,
        2,
        sessionName(key),
        indexName(key.owner),
        basis ?? '',
        revision,
        document,
        this.#bounds.ttlSeconds * 1000,
        this.#bounds.maxSessions,
        key.id,
        sessionName({ owner: key.owner, id: '' }),
      ),
    );
    if (outcome !== 'kept') throw conflict(key.id);
  }

  async list(owner: string, limit: number): Promise<readonly SessionSummary[]> {
    const ids = await this.#ask(() => this.#client.zrevrange(indexName(owner), 0, limit - 1));
    const pipeline = () => {
      const commands = this.#client.pipeline();
      for (const id of ids) {
        const name = sessionName({ owner, id });
        commands.hmget(name, 'created_at', 'updated_at').pttl(name);
      }
      return commands.exec();
    };
    const values = await this.#ask(async () => valuesOf(await pipeline()));
    return ids.flatMap((id, index) => {
      const fields = values[2 * index];
      // The index may name what has just expired.
      if (!Array.isArray(fields) || typeof fields[0] !== 'string') return [];
      return [summary(id, fields[0], fields[1], values[2 * index + 1])];
    });
  }

  async remove(key: SessionKey): Promise<boolean> {
    const [removed] = await this.#ask(async () =>
      valuesOf(await this.#client.multi().del(sessionName(key)).zrem(indexName(key.owner), key.id).exec()),
    );
    return Number(removed) > 0;
  }

  async close(): Promise<void> {
    this.#client.disconnect();
  }

  async #ask<T>(command: () => Promise<T>): Promise<T> {
    const end = performance.now() + PATIENCE_MILLISECONDS;
    for (let pause = 10; ; pause = Math.min(pause * 2, 100)) {
      try {
        if (this.#client.status === 'wait') await this.#client.connect();
        if (this.#client.status === 'ready') return await command();
      } catch (cause) {
        // Redis has answered, and not what was wanted; asking again would not change that.
        if (cause instanceof Error && cause.name === 'ReplyError') throw unavailable(cause.message, cause);
        if (performance.now() >= end) throw unavailable(this.#trouble, cause);
      }
      if (performance.now() >= end) throw unavailable(this.#trouble);
      await sleep(pause);
    }
  }
}

/** Braces keep what belongs to one owner on one node of a cluster. */
function sessionName({ owner, id }: SessionKey): string {
  return `slipway:{${owner}}:session:${id}`;
}

function indexName(owner: string): string {
  return `slipway:{${owner}}:sessions`;
}

function valuesOf(results: [error: Error | null, value: unknown][] | null): unknown[] {
  return (results ?? []).map(([error, value]) => {
    if (error !== null) throw error;
    return value;
  });
}

function summary(id: string, createdAt: unknown, updatedAt: unknown, milliseconds: unknown): SessionSummary {
  return {
    id,
    createdAt: Number(createdAt),
    updatedAt: Number(updatedAt),
    expiresInSeconds: Math.ceil(Number(milliseconds) / 1000),
  };
}

function unavailable(reason: string, cause?: unknown): AppError {
  return new AppError('sessions_unavailable', `the Redis that keeps the sessions does not answer: ${reason}`, {
    cause,
    retryAfter: RETRY_AFTER,
  });
}
