/**
 * Sessions in a file, by the SQLite that Node brings along. Writes are in the write-ahead log when they are acknowledged: killing the
 * process loses none, a power cut may lose those of the last moments. Each call takes well under a millisecond of the event loop.
 */
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { AppError, type ErrorCode } from '@slipway/shared/contracts/errors.ts';
import { Database, type Row } from '@slipway/shared/database/database.ts';
import {
  conflict,
  type SessionBounds,
  type SessionKey,
  type SessionStore,
  type SessionSummary,
  type SessionWrite,
  type StoredSession,
} from './session-store.ts';
import { type Clocks, StoreClock } from './store-clock.ts';

const FILE = 'sessions.sqlite';
const SCHEMA = [
  `CREATE TABLE sessions (
     owner TEXT NOT NULL,
     id TEXT NOT NULL,
     revision TEXT NOT NULL,
     created_at INTEGER NOT NULL,
     updated_at INTEGER NOT NULL,
     expires_at INTEGER NOT NULL,
     document TEXT NOT NULL,
     PRIMARY KEY (owner, id)
   ) STRICT;
   CREATE INDEX sessions_by_owner ON sessions (owner, expires_at);
   CREATE INDEX sessions_by_expiry ON sessions (expires_at);
   CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 1), store INTEGER NOT NULL, system INTEGER NOT NULL) STRICT;`,
];
/** Errors that say all that is to be said. */
const AS_THEY_ARE = new Set<ErrorCode>(['conflict', 'disk_full']);
const RETRY_AFTER = 10;

/** Makes the folder and the file, which nobody else may read. AppError sessions_unavailable. */
export function openSqliteStore(folder: string, bounds: SessionBounds, clocks?: Clocks): SessionStore {
  const place = join(folder, FILE);
  return telling(place, () => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // Before SQLite makes the files beside it, which get the same rights.
    closeSync(openSync(place, 'a', 0o600));
    chmodSync(place, 0o600);
    const database = new Database(place, SCHEMA);
    try {
      return new SqliteStore(database, place, bounds, clocks);
    } catch (error) {
      database.close();
      throw error;
    }
  });
}

class SqliteStore implements SessionStore {
  readonly #database: Database;
  readonly #place: string;
  readonly #bounds: SessionBounds;
  readonly #clock: StoreClock;

  constructor(database: Database, place: string, bounds: SessionBounds, clocks: Clocks | undefined) {
    this.#database = database;
    this.#place = place;
    this.#bounds = bounds;
    const saved = database.get('SELECT store, system FROM clock');
    const mark = saved === undefined ? undefined : { store: Number(saved.store), system: Number(saved.system) };
    this.#clock = new StoreClock(mark, clocks);
    this.#saveClock();
  }

  async read(key: SessionKey): Promise<StoredSession | undefined> {
    return telling(this.#place, () => {
      this.#noticeJump();
      const now = this.#clock.now();
      const row = this.#row(key, now);
      return row && { ...summaryOf(row, now), revision: String(row.revision), document: String(row.document) };
    });
  }

  async write(key: SessionKey, { basis, revision, document }: SessionWrite): Promise<void> {
    telling(this.#place, () =>
      this.#database.transaction(() => {
        const now = this.#clock.now();
        const held = this.#row(key, now);
        if (held?.revision === revision) return;
        if ((held?.revision ?? null) !== basis) throw conflict(key.id);
        if (held === undefined) this.#makeRoom(key.owner, now);
        const updatedAt = Date.now();
        this.#database.run(
          'INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)',
          key.owner,
          key.id,
          revision,
          held?.created_at ?? updatedAt,
          updatedAt,
          now + this.#bounds.ttlSeconds * 1000,
          document,
        );
        this.#saveClock();
      }, 'passing'),
    );
  }

  async list(owner: string, limit: number): Promise<readonly SessionSummary[]> {
    return telling(this.#place, () => {
      this.#noticeJump();
      const now = this.#clock.now();
      const rows = this.#database.all(
        `SELECT id, created_at, updated_at, expires_at FROM sessions
         WHERE owner = ? AND expires_at > ? ORDER BY expires_at DESC, id LIMIT ?`,
        owner,
        now,
        limit,
      );
      return rows.map((row) => summaryOf(row, now));
    });
  }

  async remove(key: SessionKey): Promise<boolean> {
    return telling(this.#place, () =>
      this.#database.transaction(() => {
        const isThere = this.#row(key, this.#clock.now()) !== undefined;
        this.#database.run('DELETE FROM sessions WHERE owner = ? AND id = ?', key.owner, key.id);
        return isThere;
      }),
    );
  }

  async close(): Promise<void> {
    telling(this.#place, () => {
      this.#saveClock();
      this.#database.close();
    });
  }

  #row({ owner, id }: SessionKey, now: number): Row | undefined {
    return this.#database.get('SELECT * FROM sessions WHERE owner = ? AND id = ? AND expires_at > ?', owner, id, now);
  }

  /** What has expired goes, and of the owner's sessions those that are too many with one more. */
  #makeRoom(owner: string, now: number): void {
    this.#database.run('DELETE FROM sessions WHERE expires_at <= ?', now);
    this.#database.run(
      `DELETE FROM sessions WHERE owner = ?1 AND id IN
       (SELECT id FROM sessions WHERE owner = ?1 ORDER BY expires_at DESC, id LIMIT -1 OFFSET ?2)`,
      owner,
      this.#bounds.maxSessions - 1,
    );
  }

  #noticeJump(): void {
    if (this.#clock.hasJumped()) this.#saveClock();
  }

  /** Another process may have the same file open, and started earlier. */
  #saveClock(): void {
    const { store, system } = this.#clock.mark();
    this.#database.run(
      'INSERT INTO clock VALUES (1, ?1, ?2) ON CONFLICT DO UPDATE SET store = max(store, ?1), system = ?2',
      store,
      system,
    );
  }
}

function summaryOf(row: Row, now: number): SessionSummary {
  return {
    id: String(row.id),
    createdAt: Number(row.created_at),
    updatedAt: Number(row.updated_at),
    expiresInSeconds: Math.ceil((Number(row.expires_at) - now) / 1000),
  };
}

function telling<T>(place: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof Error) || (cause instanceof AppError && AS_THEY_ARE.has(cause.code))) throw cause;
    const why =
      cause instanceof AppError ? cause.message : `${place}: ${cause.message}; DATA_FOLDER names another folder`;
    throw new AppError('sessions_unavailable', `sessions cannot be kept: ${why}`, { cause, retryAfter: RETRY_AFTER });
  }
}
