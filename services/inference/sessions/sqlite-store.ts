/**
 * Sessions in a file, by the SQLite that Node brings along. Writes are in the write-ahead log when they are acknowledged: killing the
 * process loses none, a power cut may lose those of the last moments. Each call takes well under a millisecond of the event loop.
 */
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { AppError } from '@slipway/shared/contracts/errors.ts';
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
const SCHEMA_VERSION = 1;
const SCHEMA = `
  CREATE TABLE sessions (
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
  CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 1), store INTEGER NOT NULL, system INTEGER NOT NULL) STRICT;
  PRAGMA user_version = ${SCHEMA_VERSION};
`;
/** How long another process may hold the file. */
const LOCK_MILLISECONDS = 1000;
const SQLITE_FULL = 13;
const RETRY_AFTER = 10;

/** Makes the folder and the file, which nobody else may read. AppError sessions_unavailable. */
export function openSqliteStore(folder: string, bounds: SessionBounds, clocks?: Clocks): SessionStore {
  const place = join(folder, FILE);
  return telling(place, () => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const database = new DatabaseSync(place, { timeout: LOCK_MILLISECONDS });
    try {
      chmodSync(place, 0o600);
      prepareFile(database, place);
      return new SqliteStore(database, place, bounds, clocks);
    } catch (error) {
      database.close();
      throw error;
    }
  });
}

function prepareFile(database: DatabaseSync, place: string): void {
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
  inTransaction(database, () => {
    const version = Number(database.prepare('PRAGMA user_version').get()?.user_version);
    if (version === 0) database.exec(SCHEMA);
    else if (version !== SCHEMA_VERSION) {
      throw new AppError(
        'sessions_unavailable',
        `${place} was written by another version of Slipway (its form is ${version}, this one reads ${SCHEMA_VERSION})`,
      );
    }
  });
}

class SqliteStore implements SessionStore {
  readonly #database: DatabaseSync;
  readonly #place: string;
  readonly #bounds: SessionBounds;
  readonly #clock: StoreClock;

  constructor(database: DatabaseSync, place: string, bounds: SessionBounds, clocks: Clocks | undefined) {
    this.#database = database;
    this.#place = place;
    this.#bounds = bounds;
    const saved = database.prepare('SELECT store, system FROM clock').get();
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
      inTransaction(this.#database, () => {
        const now = this.#clock.now();
        const held = this.#row(key, now);
        if (held?.revision === revision) return;
        if ((held?.revision ?? null) !== basis) throw conflict(key.id);
        if (held === undefined) this.#makeRoom(key.owner, now);
        const updatedAt = Date.now();
        this.#database
          .prepare('INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)')
          .run(
            key.owner,
            key.id,
            revision,
            held?.created_at ?? updatedAt,
            updatedAt,
            now + this.#bounds.ttlSeconds * 1000,
            document,
          );
        this.#saveClock();
      }),
    );
  }

  async list(owner: string, limit: number): Promise<readonly SessionSummary[]> {
    return telling(this.#place, () => {
      this.#noticeJump();
      const now = this.#clock.now();
      return this.#database
        .prepare(
          `SELECT id, created_at, updated_at, expires_at FROM sessions
           WHERE owner = ? AND expires_at > ? ORDER BY expires_at DESC, id LIMIT ?`,
        )
        .all(owner, now, limit)
        .map((row) => summaryOf(row, now));
    });
  }

  async remove({ owner, id }: SessionKey): Promise<boolean> {
    return telling(this.#place, () => {
      const { changes } = this.#database
        .prepare('DELETE FROM sessions WHERE owner = ? AND id = ? AND expires_at > ?')
        .run(owner, id, this.#clock.now());
      return changes > 0;
    });
  }

  async close(): Promise<void> {
    telling(this.#place, () => {
      this.#saveClock();
      this.#database.close();
    });
  }

  #row({ owner, id }: SessionKey, now: number) {
    return this.#database
      .prepare('SELECT * FROM sessions WHERE owner = ? AND id = ? AND expires_at > ?')
      .get(owner, id, now);
  }

  /** What has expired goes, and of the owner's sessions those that are too many with one more. */
  #makeRoom(owner: string, now: number): void {
    this.#database.prepare('DELETE FROM sessions WHERE expires_at <= ?').run(now);
    this.#database
      .prepare(
        `DELETE FROM sessions WHERE owner = ?1 AND id IN
         (SELECT id FROM sessions WHERE owner = ?1 ORDER BY expires_at DESC, id LIMIT -1 OFFSET ?2)`,
      )
      .run(owner, this.#bounds.maxSessions - 1);
  }

  #noticeJump(): void {
    if (this.#clock.hasJumped()) this.#saveClock();
  }

  /** Another process may have the same file open, and started earlier. */
  #saveClock(): void {
    const { store, system } = this.#clock.mark();
    this.#database
      .prepare('INSERT INTO clock VALUES (1, ?1, ?2) ON CONFLICT DO UPDATE SET store = max(store, ?1), system = ?2')
      .run(store, system);
  }
}

function summaryOf(row: Record<string, SQLOutputValue>, now: number): SessionSummary {
  return {
    id: String(row.id),
    createdAt: Number(row.created_at),
    updatedAt: Number(row.updated_at),
    expiresInSeconds: Math.ceil((Number(row.expires_at) - now) / 1000),
  };
}

function inTransaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    // SQLite itself has rolled back after some failures, a full disk for one.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

function telling<T>(place: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof AppError || !(cause instanceof Error)) throw cause;
    const code = 'errcode' in cause ? cause.errcode : undefined;
    if (code === SQLITE_FULL) throw new AppError('disk_full', `no room is left for sessions in ${place}`, { cause });
    throw new AppError(
      'sessions_unavailable',
      `sessions cannot be kept in ${place}: ${cause.message}; DATA_FOLDER names another folder`,
      { cause, retryAfter: RETRY_AFTER },
    );
  }
}
