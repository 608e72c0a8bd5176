/**
 * Evaluates versions of runs for callers, one after the other, and keeps how each stands. Owns that what a process has left unfinished is
 * told as failed. Knows no HTTP.
 */
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { HEARTBEAT_MS, isDead, isMine, newOwnedName } from '@slipway/shared/bucket/owner.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import { evaluate, type VersionToAsk } from '../../evaluation/evaluate.ts';
import { scoringTools } from '../../evaluation/scoring-tools.ts';
import type { ServeVersion } from '../../evaluation/serve-version.ts';
import { runFolder } from '../../runs/run-folder.ts';
import type { RunRecord } from '../../runs/run-record.ts';
import {
  type EvaluationRecord,
  newEvaluationId,
  readEvaluation,
  recordFile,
  writeEvaluation,
  writeResult,
} from './evaluation-record.ts';
import type { EvaluationFields } from './evaluation-request.ts';

interface EvaluatorParts {
  readonly dataFolder: string;
  /** Undefined: versions cannot be asked here. */
  readonly serve: ServeVersion | undefined;
  readonly log: Logger;
}

/** What was asked for, once it is known to be there. */
interface Work {
  readonly folder: string;
  readonly bucketUrl: string;
  readonly versions: readonly [VersionToAsk, VersionToAsk?];
  readonly scoring: Awaited<ReturnType<typeof scoringTools>>;
  readonly fields: EvaluationFields;
  readonly files: readonly string[];
}

const MOST_WAITING = 100;
const AT_ONCE = 4;
const STOPPED = 'the service ended before it was done; ask for it again';

export class RunEvaluator {
  readonly #parts: EvaluatorParts;
  readonly #worker = newOwnedName();
  readonly #leaving = new AbortController();
  /** The files of those that wait or are worked on. */
  readonly #unfinished = new Set<string>();
  readonly #heartbeat: NodeJS.Timeout;
  #last: Promise<void> = Promise.resolve();

  constructor(parts: EvaluatorParts) {
    this.#parts = parts;
    // So that who sees the folder from another machine knows that this one is at it.
    this.#heartbeat = setInterval(() => void this.#touch(), HEARTBEAT_MS).unref();
  }

  /**
   * `files`: absolute, which the caller may read. AppError conflict when the run has no version, not_found for a version that is not there
   * or metrics without their Python, overloaded, draining, not_implemented where versions cannot be asked.
   */
  async submit(run: RunRecord, fields: EvaluationFields, files: readonly string[]): Promise<EvaluationRecord> {
    const { serve, dataFolder } = this.#parts;
    if (serve === undefined) {
      throw new AppError('not_implemented', 'versions cannot be asked here: start the service with slipway trainer');
    }
    const [published] = run.published;
    if (published === undefined) {
      throw new AppError('conflict', `${run.id} is ${run.state} and has published no version to evaluate`);
    }
    const scoring = await scoringTools(fields.metrics);
    const ours = await versionToAsk(run.bucket, published);
    const theirs = fields.against === null ? undefined : await versionToAsk(run.bucket, fields.against);
    if (this.#leaving.signal.aborted) throw new AppError('draining', 'the service is leaving');
    if (this.#unfinished.size >= MOST_WAITING) {
      throw new AppError('overloaded', `${MOST_WAITING} evaluations wait already`, { retryAfter: 60 });
    }
    const versions: Work['versions'] = theirs === undefined ? [ours] : [ours, theirs];
    const now = new Date();
    const record: EvaluationRecord = {
      id: newEvaluationId(now),
      run: run.id,
      status: 'queued',
      message: 'waits for its turn',
      error: null,
      created_at: now.toISOString(),
      ended_at: null,
      versions: versions.flatMap((version) => version?.name ?? []),
      data: fields.data,
      worker: this.#worker,
    };
    const folder = evaluationsOf(dataFolder, run.id);
    const work: Work = { folder, bucketUrl: run.bucket, versions, scoring, fields, files };
    const file = recordFile(folder, record.id);
    this.#unfinished.add(file);
    try {
      await writeEvaluation(folder, record);
    } catch (error) {
      this.#unfinished.delete(file);
      throw error;
    }
    this.#last = this.#last
      .then(() => this.#carryOut(record, work, serve))
      .finally(() => this.#unfinished.delete(file));
    return record;
  }

  /** The newest of a run, or that of the id; undefined when there is none. */
  async find(run: string, id?: string): Promise<EvaluationRecord | undefined> {
    const folder = evaluationsOf(this.#parts.dataFolder, run);
    const found = await readEvaluation(folder, id);
    if (found === undefined) return undefined;
    const { record, touchedAt } = found;
    if (record.status === 'succeeded' || record.status === 'failed') return record;
    const isAbandoned = isMine(record.worker)
      ? record.worker !== this.#worker
      : isDead(record.worker, touchedAt, Date.now());
    return isAbandoned ? failed(record, 'draining', STOPPED, touchedAt) : record;
  }

  /** What is not done by then has failed. */
  async leave(): Promise<void> {
    this.#leaving.abort();
    await this.#last;
    clearInterval(this.#heartbeat);
  }

  /** Never rejects. */
  async #carryOut(record: EvaluationRecord, work: Work, serve: ServeVersion): Promise<void> {
    const { log } = this.#parts;
    try {
      const ended = await this.#ended(record, work, serve);
      await writeEvaluation(work.folder, ended);
      log.info({ run: record.run, evaluation: record.id, status: ended.status }, 'an evaluation has ended');
    } catch (error) {
      log.error({ err: error, evaluation: record.id }, 'how an evaluation ended cannot be written');
    }
  }

  async #ended(record: EvaluationRecord, work: Work, serve: ServeVersion): Promise<EvaluationRecord> {
    const { signal } = this.#leaving;
    try {
      signal.throwIfAborted();
      const running: EvaluationRecord = { ...record, status: 'running', message: `asks ${record.versions.join(', ')}` };
      await writeEvaluation(work.folder, running);
      await this.#evaluate(record.id, work, serve);
      return { ...record, status: 'succeeded', message: 'is done', ended_at: new Date().toISOString() };
    } catch (error) {
      if (signal.aborted) return failed(record, 'draining', STOPPED);
      if (error instanceof AppError) return failed(record, error.code, withoutPlaces(error.message, work));
      this.#parts.log.error({ err: error, evaluation: record.id }, 'an evaluation failed');
      return failed(record, 'internal', 'a bug; the log of the service has the rest');
    }
  }

  async #evaluate(id: string, work: Work, serve: ServeVersion): Promise<void> {
    const { versions, bucketUrl, fields, folder } = work;
    const { signal } = this.#leaving;
    const maxNewTokens = fields.max_new_tokens;
    const version = { name: versions[0].name, bucketUrl, maxNewTokens, atOnce: AT_ONCE };
    const result = await serve(version, signal, (client) =>
      evaluate({
        client,
        versions,
        sources: work.files,
        format: 'auto',
        columns: {},
        cacheFolder: folder,
        limit: fields.limit,
        metrics: fields.metrics,
        maxNewTokens,
        temperature: 0,
        seed: 1,
        atOnce: AT_ONCE,
        scoring: work.scoring,
        signal,
        onProgress: () => {},
      }),
    );
    await writeResult(folder, id, result);
  }

  async #touch(): Promise<void> {
    const now = new Date();
    // One that cannot be touched is told as abandoned elsewhere, not here.
    await Promise.allSettled([...this.#unfinished].map((file) => utimes(file, now, now)));
  }
}

/** Where a run's evaluations lie. */
export function evaluationsOf(dataFolder: string, run: string): string {
  return join(runFolder(dataFolder, run).path, 'evaluations');
}

/** Exactly one version, so that a name that is moved meanwhile moves nothing here. AppError not_found. */
async function versionToAsk(bucketUrl: string, reference: string): Promise<VersionToAsk> {
  const manifest = await openBucket(bucketUrl).resolve(reference);
  return { name: `${manifest.name}@${manifest.version}`, manifest };
}

/** `at`: milliseconds since the epoch. */
function failed(record: EvaluationRecord, code: AppError['code'], message: string, at = Date.now()): EvaluationRecord {
  return {
    ...record,
    status: 'failed',
    message: 'has failed',
    error: { code, message },
    ended_at: new Date(at).toISOString(),
  };
}

/** Where files lie on this machine is nobody's business. */
function withoutPlaces(message: string, { files, fields }: Work): string {
  return files.reduce((text, file) => text.replaceAll(file, fields.data), message);
}
