/**
 * A run as the one process that works on it holds it: its record, kept on disk with every change, and its events. Knows no stage.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { isFullDisk } from '@slipway/shared/bucket/durable-files.ts';
import { LeaseLostError } from '@slipway/shared/jobs/job-queue.ts';
import { EventLog } from './event-log.ts';
import type { RunHappening } from './run-event.ts';
import { type RunFolder, readRun, runFolder, writeRun } from './run-folder.ts';
import type { RunRecord } from './run-record.ts';
import { nextState, type RunEvent } from './run-state.ts';

export type RunChanges = Partial<Omit<RunRecord, 'schema' | 'id' | 'state'>>;

export class OpenRun {
  readonly folder: RunFolder;
  readonly #log: EventLog;
  readonly #holder: string | undefined;
  #record: RunRecord;
  /** Changes are written one after the other, in the order they were asked for. */
  #lastWrite: Promise<void> = Promise.resolve();

  private constructor(folder: RunFolder, record: RunRecord, holder?: string) {
    this.folder = folder;
    this.#record = record;
    this.#holder = holder;
    this.#log = new EventLog(folder.events);
  }

  /** For who knows that nobody works on it. AppError not_found. */
  static async open(dataFolder: string, id: string): Promise<OpenRun> {
    return new OpenRun(runFolder(dataFolder, id), await readRun(dataFolder, id));
  }

  /**
   * For its worker: one that held it until now, and does not know yet that its lease has passed, can write nothing of it any more, and gets
   * LeaseLostError instead. AppError not_found.
   */
  static async take(dataFolder: string, id: string): Promise<OpenRun> {
    const folder = runFolder(dataFolder, id);
    const holder = randomUUID();
    await writeFile(folder.holder, holder);
    return new OpenRun(folder, await readRun(dataFolder, id), holder);
  }

  get record(): RunRecord {
    return this.#record;
  }

  /** An event that cannot happen in this state is a bug, and throws. `message` is for people. */
  async apply(event: RunEvent, message: string, changes: RunChanges = {}): Promise<void> {
    if (await this.applyIfPossible(event, message, changes)) return;
    const { id, state } = this.#record;
    throw new Error(`${id} is ${state}: ${event} cannot happen to it`);
  }

  /** False where it cannot: decided when all changes before it are done. */
  async applyIfPossible(event: RunEvent, message: string, changes: RunChanges = {}): Promise<boolean> {
    let isPossible = false;
    await this.#change((record) => {
      const state = nextState(record.state, event);
      if (state === undefined) return record;
      isPossible = true;
      if (state !== record.state || message !== record.message) this.log({ type: 'state', state, message });
      return { ...record, ...changes, state, message };
    });
    return isPossible;
  }

  update(changesOf: (record: RunRecord) => RunChanges): Promise<void> {
    return this.#change((record) => {
      const changes = changesOf(record);
      return Object.keys(changes).length === 0 ? record : { ...record, ...changes };
    });
  }

  log(event: RunHappening): void {
    this.#requireHold();
    this.#log.add(event);
  }

  /** For people. Not where this disk is full, too, or the run is another's: it meets that itself where it matters. */
  warn(message: string): void {
    try {
      this.log({ type: 'log', level: 'warning', message });
    } catch (error) {
      if (!isFullDisk(error) && !(error instanceof LeaseLostError)) throw error;
    }
  }

  close(): void {
    this.#log.close();
  }

  #requireHold(): void {
    if (this.#holder === undefined || readFileSync(this.folder.holder, 'utf8') === this.#holder) return;
    throw new LeaseLostError(`${this.#record.id} is worked on elsewhere`);
  }

  #change(next: (record: RunRecord) => RunRecord): Promise<void> {
    const write = this.#lastWrite.then(async () => {
      const record = next(this.#record);
      if (record !== this.#record) await writeRun(this.folder, record, () => this.#requireHold());
      this.#record = record;
    });
    this.#lastWrite = write.catch(() => {});
    return write;
  }
}
