/**
 * One batch from its claim to its outcome: its lines looked at, answered in order, sorted into a file of answers and a file of errors. Every
 * step may be killed and is gone on with by the next claim. Knows nothing of the queue but what its claim says.
 */
import { createHash } from 'node:crypto';
import type { BatchError } from '@slipway/shared/contracts/openai/batch.ts';
import {
  generatedTokens,
  isFailedResult,
  parseBatchRequest,
  parseJsonLine,
  parseResult,
  resultOfAnswer,
  resultOfProblem,
} from '@slipway/shared/contracts/openai/batch-line.ts';
import type { FileStore, StoredFile } from '@slipway/shared/files/file-store.ts';
import type { Claim } from '@slipway/shared/jobs/job-queue.ts';
import { answerLines, type LineAnswer } from '@slipway/shared/lines/answer-lines.ts';
import { askUntilAnswered } from '@slipway/shared/lines/ask-until-answered.ts';
import { type Line, readLines } from '@slipway/shared/lines/read-lines.ts';
import { takeOverAnswers } from './batch-answers.ts';
import { type BatchOutcome, type BatchPayload, type BatchProgress, payloadOf, progressOf } from './batch-job.ts';
import type { AskLine } from './line-endpoints.ts';
import { validateInput } from './validate-input.ts';

export interface BatchTools {
  readonly files: FileStore;
  /** Of answers that are being made. */
  readonly folder: string;
  readonly ask: AskLine;
  /** Resolves when a line could begin. */
  readonly whenRoomy: (signal: AbortSignal) => Promise<void>;
  readonly atOnce: number;
  readonly mostLineBytes: number;
}

/** Why a run is to stop: its batch is to be cancelled, or it is somebody else's turn. */
class BatchCancelled extends Error {
  override readonly name = 'BatchCancelled';
}

const EXPIRED = 'batch_expired';
const FLUSH_BYTES = 1 << 20;

export class BatchRun {
  readonly #claim: Claim;
  readonly #tools: BatchTools;
  readonly #payload: BatchPayload;
  #progress: BatchProgress;
  /** Lines that were not begun in time. */
  #expired = 0;

  constructor(claim: Claim, tools: BatchTools) {
    this.#claim = claim;
    this.#tools = tools;
    this.#payload = payloadOf(claim.job);
    // Of an attempt that was given up while finalizing nothing is left.
    this.#progress = { ...progressOf(claim.job), finalizing_at: null };
  }

  get progress(): BatchProgress {
    return this.#progress;
  }

  /** What it has answered so far is its outcome. */
  cancel(ending: AbortController): void {
    if (ending.signal.aborted) return;
    this.#progress = { ...this.#progress, cancelling_at: this.#progress.cancelling_at ?? Date.now() };
    ending.abort(new BatchCancelled('the batch is to be cancelled'));
  }

  /** `tell`: stores the progress, and rejects when the claim is lost. Rejects with the signal's reason, unless that is BatchCancelled, or AppError. */
  async run(signal: AbortSignal, tell: () => Promise<void>): Promise<BatchOutcome> {
    const input = this.#tools.files.find(this.#payload.input_file_id);
    if (input === undefined) {
      return this.#failed([{ code: 'file_not_found', message: 'the input file was deleted', param: null, line: null }]);
    }
    try {
      if (this.#progress.total === null) {
        const { endpoint } = this.#payload;
        const found = await validateInput(input.path, endpoint, this.#tools.mostLineBytes, signal);
        this.#progress = { ...this.#progress, total: found.lines };
        if (found.errors.length > 0) return this.#failed(found.errors);
        this.#progress = { ...this.#progress, in_progress_at: Date.now() };
        await tell();
      }
    } catch (error) {
      if (!(error instanceof BatchCancelled)) throw error;
      return { ...this.#failed([]), status: 'cancelled' };
    }
    const answers = await takeOverAnswers(this.#tools.folder, this.#claim.job.id, this.#claim.token);
    const wasCancelled = await this.#answer(input, answers, signal);
    this.#progress = { ...this.#progress, finalizing_at: Date.now() };
    await tell();
    const { done, failed } = this.#progress;
    return {
      status: wasCancelled ? 'cancelled' : this.#expired > 0 ? 'expired' : 'completed',
      progress: this.#progress,
      output_file_id: done === failed ? null : await this.#sort(answers, 'output', tell),
      error_file_id: failed === 0 ? null : await this.#sort(answers, 'error', tell),
      errors: [],
    };
  }

  /** Gives whether it was cancelled meanwhile. */
  async #answer(input: StoredFile, answers: string, signal: AbortSignal): Promise<boolean> {
    const late = new AbortController();
    const untilLate = Math.max(0, this.#payload.expires_at - Date.now());
    const timer = setTimeout(() => late.abort(), untilLate);
    try {
      await answerLines({
        input: input.path,
        answers,
        mostLineBytes: this.#tools.mostLineBytes,
        atOnce: this.#tools.atOnce,
        recall: (text) => this.#recall(text),
        answer: (line, stop) => this.#answerLine(line, stop, late.signal),
        onProgress: ({ done, failed }) => {
          this.#progress = { ...this.#progress, done, failed };
        },
        signal,
      });
      return false;
    } catch (error) {
      if (error instanceof BatchCancelled) return true;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #recall(text: string): boolean | undefined {
    const result = parseResult(text);
    if (result === undefined) return undefined;
    if (result.error?.code === EXPIRED) this.#expired++;
    return isFailedResult(result);
  }

  async #answerLine(line: Line, stop: AbortSignal, late: AbortSignal): Promise<LineAnswer> {
    const { endpoint } = this.#payload;
    const json = 'text' in line.content ? parseJsonLine(line.content.text) : undefined;
    const parsed = json === undefined || 'problem' in json ? undefined : parseBatchRequest(json.value, endpoint);
    // Every line was looked at before, and the file is never changed.
    if (parsed === undefined || 'problem' in parsed) throw new Error(`line ${line.number} is no longer a request`);
    const { custom_id, body } = parsed.request;
    const signal = AbortSignal.any([stop, late]);
    try {
      signal.throwIfAborted();
      const answered = await askUntilAnswered(
        async () => {
          await this.#tools.whenRoomy(signal);
          return this.#tools.ask(endpoint, body, this.#claim.job.owner, signal);
        },
        Number.POSITIVE_INFINITY,
        signal,
      );
      const result = resultOfAnswer(custom_id, answered);
      return {
        text: JSON.stringify(result),
        isFailure: isFailedResult(result),
        tokens: generatedTokens(answered.body),
      };
    } catch (error) {
      if (stop.aborted || !late.aborted) throw error;
      this.#expired++;
      const message = 'this request was not answered before the batch expired';
      return {
        text: JSON.stringify(resultOfProblem(custom_id, { code: EXPIRED, message })),
        isFailure: true,
        tokens: 0,
      };
    }
  }

  /** The answers of one kind become a file of the batch's owner, under an id that is the same whoever makes it. */
  async #sort(answers: string, kind: 'output' | 'error', tell: () => Promise<void>): Promise<string> {
    const { id: batchId, owner } = this.#claim.job;
    const { files } = this.#tools;
    const received = await files.receive(resultsOf(answers, kind === 'error'), Number.POSITIVE_INFINITY);
    // Not for a batch that meanwhile is somebody else's.
    await tell();
    const id = `file-${createHash('sha256').update(`${batchId} ${kind}`).digest('hex').slice(0, 32)}`;
    await files.keep(received, { id, owner, purpose: 'batch_output', name: `${batchId}_${kind}.jsonl` });
    return id;
  }

  #failed(errors: readonly BatchError[]): BatchOutcome {
    return {
      status: 'failed',
      progress: this.#progress,
      output_file_id: null,
      error_file_id: null,
      errors: [...errors],
    };
  }
}

async function* resultsOf(answers: string, isFailure: boolean): AsyncGenerator<Uint8Array> {
  let text = '';
  for await (const { content } of readLines(answers, { mostBytes: Number.POSITIVE_INFINITY })) {
    const result = 'text' in content ? parseResult(content.text) : undefined;
    if (result === undefined) throw new Error(`${answers} has a line that is no answer`);
    if (isFailedResult(result) !== isFailure || !('text' in content)) continue;
    text += `${content.text}\n`;
    if (text.length < FLUSH_BYTES) continue;
    yield Buffer.from(text);
    text = '';
  }
  yield Buffer.from(text);
}
