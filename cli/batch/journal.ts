/**
 * What lies beside a batch's output until it is whole: the answers so far (`.partial`) and what they belong to (`.journal`), held by one
 * process at a time. The journal is a SQLite file, because its lock ends with the process, however that ends.
 */
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { AppError, type ErrorCode } from '@slipway/shared/contracts/errors.ts';

/** What decides the answers. Different ones cannot be gone on with. */
export type BatchSettings = Readonly<Record<string, string | number | boolean | null>>;

/** SQLite's primary result codes. */
const FAILURES: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  5: ['conflict', 'is being written by another process; wait for it, or name another output'],
  13: ['disk_full', 'cannot be begun: the disk is full'],
  14: ['not_found', 'cannot be written; does its folder exist, and may this user write there?'],
};

export class BatchJournal {
  readonly partial: string;
  readonly #output: string;
  readonly #file: string;
  readonly #database: DatabaseSync;

  /** AppError conflict when another process works on this output, not_found, disk_full. */
  constructor(output: string) {
    this.#output = output;
    this.partial = `${output}.partial`;
    this.#file = `${output}.journal`;
    this.#database = new DatabaseSync(this.#file, { timeout: 0, open: false });
    try {
      this.#database.open();
      // In this mode a lock that was taken is kept.
      this.#database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
      this.#database.exec('CREATE TABLE IF NOT EXISTS batch (settings TEXT NOT NULL); COMMIT');
    } catch (error) {
      this.close();
      throw inWords(error, output);
    }
  }

  /** What the answers so far belong to; undefined when there are none. AppError already_exists for an output of another making. */
  begun(): BatchSettings | undefined {
    const row = this.#database.prepare('SELECT settings FROM batch').get();
    // Written below, and by nobody else.
    if (row !== undefined) return JSON.parse(String(row.settings)) as BatchSettings;
    if (!existsSync(this.#output) && !existsSync(this.partial)) return undefined;
    const taken = existsSync(this.#output) ? this.#output : this.partial;
    throw new AppError(
      'already_exists',
      `${taken} exists already; name another output, or write it anew with --restart`,
    );
  }

  /** The answers were complete, and only this journal was left to be removed. */
  get isWhole(): boolean {
    return existsSync(this.#output) && !existsSync(this.partial);
  }

  async restart(): Promise<void> {
    this.#database.exec('DELETE FROM batch');
    await rm(this.partial, { force: true });
    await rm(this.#output, { force: true });
  }

  begin(settings: BatchSettings): void {
    this.#database.prepare('INSERT INTO batch (settings) VALUES (?)').run(JSON.stringify(settings));
  }

  /** The answers get their name, and nothing is left beside them. */
  async finish(): Promise<void> {
    if (existsSync(this.partial)) await rename(this.partial, this.#output);
    this.#database.close();
    // SQLite's own beside it stays behind when a process is killed.
    for (const file of [this.#file, `${this.#file}-journal`]) await rm(file, { force: true });
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

function inWords(error: unknown, output: string): unknown {
  const code = error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : -1;
  const [known, text] = FAILURES[code & 0xff] ?? [];
  return known === undefined ? error : new AppError(known, `${output} ${text}`, { cause: error });
}
