/**
 * The files and batches of a service, opened when somebody first asks for them: most services keep neither. Owns when they are opened and
 * closed; knows nothing of what they do.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { FileStore } from '@slipway/shared/files/file-store.ts';
import type { JobQueue } from '@slipway/shared/jobs/job-queue.ts';

export interface BatchService {
  readonly files: FileStore;
  readonly jobs: JobQueue;
  start(): void;
  /** There is a new job, or one that is to be cancelled. */
  wake(): void;
  /** Resolves when what was worked on has been given back. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

export class LazyBatches {
  readonly #dataFolder: string;
  readonly #open: () => Promise<BatchService>;
  #opening: Promise<BatchService> | undefined;
  #isStopped = false;

  constructor(dataFolder: string, open: () => Promise<BatchService>) {
    this.#dataFolder = dataFolder;
    this.#open = open;
  }

  /** AppError where the data folder cannot be used; the next call tries again. */
  get(): Promise<BatchService> {
    this.#opening ??= this.#open().then(
      (batches) => {
        if (!this.#isStopped) batches.start();
        return batches;
      },
      (error) => {
        this.#opening = undefined;
        throw error;
      },
    );
    return this.#opening;
  }

  /** Goes on with what an earlier process left, if there was one. */
  async resume(): Promise<void> {
    if (existsSync(join(this.#dataFolder, JOBS_FILE))) await this.get();
  }

  /** Gives back what is worked on. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await (await this.#opening?.catch(() => undefined))?.stop();
  }

  async close(): Promise<void> {
    await this.stop();
    await (await this.#opening?.catch(() => undefined))?.close();
  }
}

export const JOBS_FILE = 'jobs.sqlite';
