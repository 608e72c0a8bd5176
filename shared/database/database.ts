/**
 * One SQLite file (node:sqlite): opened so that what is committed survives a power cut, brought to its newest schema, used by several
 * processes at once, its errors told in words. Knows no tables.
 */
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { AppError, type ErrorCode } from '../contracts/errors.ts';
import { makeFolder } from '../lib/make-folder.ts';

export type Row = Record<string, SQLOutputValue>;

/** Another process holds the file for milliseconds only. */
const BUSY_MILLISECONDS = 10_000;

export class Database {
  readonly #file: string;
  readonly #connection: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** `schema`: the steps that lead from an empty file to today's tables. What was released is never edited, only added to. */
  constructor(file: string, schema: readonly string[]) {
    this.#file = file;
    this.#connection = this.#told(() => {
      makeFolder(dirname(file));
      return new DatabaseSync(file, { timeout: BUSY_MILLISECONDS });
    });
    try {
      this.#told(() => this.#connection.exec('PRAGMA journal_mode = WAL'));
      this.#migrate(schema);
    } catch (error) {
      this.#connection.close();
      throw error;
    }
  }

  run(sql: string, ...values: SQLInputValue[]): void {
    this.#told(() => this.#prepared(sql).run(...values));
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#told(() => this.#prepared(sql).get(...values));
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#told(() => this.#prepared(sql).all(...values));
  }

  /**
   * All of it or nothing, and no other process in between. `passing`: what it changes may be lost in a power cut (never when a process is
   * killed), which saves waiting for the disk.
   */
  transaction<T>(work: () => T, durability: 'durable' | 'passing' = 'durable'): T {
    this.#told(() => this.#connection.exec(`PRAGMA synchronous = ${durability === 'durable' ? 'FULL' : 'NORMAL'}`));
    this.#told(() => this.#connection.exec('BEGIN IMMEDIATE'));
    try {
      const result = work();
      this.#told(() => this.#connection.exec('COMMIT'));
      return result;
    } catch (error) {
      // A disk that is full has already ended it.
      if (this.#connection.isTransaction) this.#connection.exec('ROLLBACK');
      throw error;
    }
  }

  close(): void {
    this.#statements.clear();
    this.#connection.close();
  }

  #migrate(schema: readonly string[]): void {
    const version = () => Number(this.get('PRAGMA user_version')?.user_version);
    if (version() === schema.length) return;
    this.transaction(() => {
      // Another process may have done it meanwhile.
      const present = version();
      if (present > schema.length) {
        throw new AppError(
          'unsupported_source',
          `${this.#file} was written by a newer Slipway; use that one, or name another DATA_FOLDER`,
        );
      }
      for (const step of schema.slice(present)) this.#connection.exec(step);
      this.#connection.exec(`PRAGMA user_version = ${schema.length}`);
    });
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#connection.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #told<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw inWords(error, this.#file);
    }
  }
}

/** By SQLite's primary result codes. */
const FAILURES: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  5: ['overloaded', 'is held by another process; try again soon'],
  8: ['invalid_source', 'may not be written; give this user the right to, or name another DATA_FOLDER'],
  11: ['invalid_source', 'is damaged; put it back from a backup, or move it away to begin with an empty one'],
  13: ['disk_full', 'cannot grow: the disk is full; nothing was changed; free some space and try again'],
  14: ['invalid_source', 'cannot be opened; does its folder exist and may this user write there?'],
  26: ['invalid_source', 'is not a SQLite file; move it away to begin with an empty one'],
};

function inWords(error: unknown, file: string): unknown {
  const [code, text] = FAILURES[primaryCodeOf(error)] ?? FAILURES[systemCodeOf(error)] ?? [];
  return code === undefined ? error : new AppError(code, `${file} ${text}`, { cause: error });
}

function primaryCodeOf(error: unknown): number {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode & 0xff : -1;
}

/** Of the folder, which is made before SQLite is asked. */
function systemCodeOf(error: unknown): number {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') return 13;
  return ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENOENT', 'EEXIST'].includes(String(code)) ? 14 : -1;
}
