/**
 * A request's life from its prompt to its answer: its turn, its sequences, its end. Owns the deadline and what leaving means. Knows nothing
 * of HTTP; whoever calls it gets deltas by a callback and the whole answer at the end.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type {
  GenerateAnswer,
  GenerateOutput,
  GenerateRequest,
  OutputLogprobs,
} from '@slipway/shared/contracts/generate.ts';
import type { AnswerForm } from '@slipway/shared/contracts/response-format.ts';
import { steadyNow } from '@slipway/shared/lib/steady-now.ts';
import pTimeout, { TimeoutError } from 'p-timeout';
import type { Constraint, EngineEvent, SequenceRequest, TokenLogprobs } from '../engine/contract.ts';
import type { LoadedModel } from './loaded-model.ts';
import type { GenerationObserver } from './observer.ts';
import type { Turns } from './occupancy.ts';
import { constraintOf, type PreparedRequest, prepareRequest, sequenceId, sequenceRequests } from './prepare-request.ts';
import { runSequences } from './run-sequences.ts';
import { describeLogprobs, SequenceOutput } from './sequence-output.ts';
import { Timeline } from './timeline.ts';

export interface GenerationLimits {
  readonly maxPromptTokens: number;
  readonly timeoutSeconds: number;
}

export interface GenerateJob {
  readonly id: string;
  readonly requestId: string;
  readonly request: GenerateRequest;
  /** As performance.now() has it. */
  readonly arrivedAt: number;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** The first sequence has a slot: from here on the request can only fail by the engine or the deadline. */
  readonly onStart?: () => void;
  /** Told once, before the first delta, when `prompt_logprobs` was asked for. */
  readonly onPrompt?: (logprobs: readonly (OutputLogprobs | null)[]) => void;
  /** As SequenceRequest has it. */
  readonly goesOn?: boolean;
  /** Special tokens whose names are part of the answer's text. */
  readonly shownTokens?: ReadonlySet<number>;
  readonly onDelta?: (output: GenerateOutput) => void;
}

/** The one who asked has left; there is nobody to tell. */
export class CancelledError extends Error {
  override readonly name = 'CancelledError';
}

const NOT_READY_RETRY_AFTER = 5;

type Outcome = 'done' | 'failed' | 'timeout' | 'cancelled' | 'refused';

export class Generation {
  readonly #model: LoadedModel;
  readonly #job: Omit<GenerateJob, 'request'>;
  readonly #prepared: PreparedRequest;
  readonly #outputs: readonly SequenceOutput[];
  readonly #timeline: Timeline;
  readonly #timeoutSeconds: number;
  readonly #deadline: number;
  readonly #promptLogprobs: (OutputLogprobs | null)[] = [];
  /** Taken when it runs. */
  #format: AnswerForm | undefined;

  /** AppError invalid_field when the request does not fit the model. */
  constructor(model: LoadedModel, limits: GenerationLimits, observer: GenerationObserver, job: GenerateJob) {
    const { request, ...rest } = job;
    this.#model = model;
    this.#job = rest;
    this.#format = request.response_format;
    this.#prepared = prepareRequest(request, model, limits.maxPromptTokens);
    this.#outputs = this.#emptyOutputs();
    this.#timeline = new Timeline(job.arrivedAt, observer);
    this.#timeoutSeconds = limits.timeoutSeconds;
    this.#deadline = steadyNow() - (performance.now() - job.arrivedAt) + limits.timeoutSeconds * 1000;
  }

  /** What it may come to use, of prompt and answers. */
  get mostTokens(): number {
    const { promptTokens, maxNewTokens, sequences } = this.#prepared.work;
    return promptTokens + maxNewTokens * sequences;
  }

  /** What it has used. */
  get usedTokens(): number {
    return this.#timeline.hasStarted ? this.#prepared.work.promptTokens + this.#completionTokens() : 0;
  }

  /** Rejects with AppError invalid_field when there can be no such text, overloaded, timeout, model_not_ready or engine_failed, or CancelledError. Whatever happens, the engine is left clean. */
  async run(turns: Turns): Promise<GenerateAnswer> {
    const constraint = await this.#constraint();
    const { engine } = this.#model;
    const abort = new AbortController();
    const leave = () => abort.abort(new CancelledError('the client has left'));
    this.#job.signal.addEventListener('abort', leave, { once: true });
    if (this.#job.signal.aborted) leave();
    let outcome: Outcome = 'failed';
    this.#timeline.asksForTurn();
    try {
      const running = turns.run(this.#prepared.work, engine.info, this.#deadline, abort.signal, async (signal) => {
        await this.#model.whenReady(signal);
        await runSequences(engine, this.#requests(constraint), signal, (index, event) => this.#on(index, event));
      });
      await pTimeout(running, { milliseconds: Math.max(1, this.#deadline - steadyNow()) });
      abort.signal.throwIfAborted();
      outcome = 'done';
      this.#observePace(turns);
      return this.answer();
    } catch (error) {
      if (error instanceof CancelledError) outcome = 'cancelled';
      if (error instanceof AppError && error.code === 'overloaded') outcome = 'refused';
      const late = error instanceof TimeoutError || (error instanceof AppError && error.code === 'timeout');
      if (!late) throw error;
      outcome = 'timeout';
      const timeout = this.#timeoutError();
      // First the words, then the deed: cancelling would end the outputs with another reason.
      this.#finishLate();
      abort.abort(timeout);
      throw timeout;
    } finally {
      this.#job.signal.removeEventListener('abort', leave);
      this.#report(outcome);
    }
  }

  /** Instead of running: an answer that the same request got before. */
  replay(kept: GenerateAnswer): GenerateAnswer {
    this.#job.onStart?.();
    if (kept.prompt_logprobs !== undefined) this.#job.onPrompt?.(kept.prompt_logprobs);
    for (const output of kept.outputs) this.#tell(output);
    const timings = this.#timeline.timingsOfReplay(kept.usage);
    return { ...kept, id: this.#job.id, request_id: this.#job.requestId, timings };
  }

  /** The answer as far as it has come. */
  answer(): GenerateAnswer {
    const { settings, prompt, seed } = this.#prepared;
    const completionTokens = this.#completionTokens();
    const outputs = this.#outputs.map((output) => output.whole());
    return {
      id: this.#job.id,
      model: this.#model.name,
      text: outputs[0]?.text ?? '',
      outputs,
      ...(settings.prompt_logprobs === undefined ? {} : { prompt_logprobs: this.#promptLogprobs }),
      usage: {
        prompt_tokens: prompt.tokens.length,
        completion_tokens: completionTokens,
        prompt_truncated: prompt.truncated,
      },
      timings: this.#timeline.timings(completionTokens),
      seed,
      request_id: this.#job.requestId,
      system_fingerprint: this.#model.fingerprint,
    };
  }

  #emptyOutputs(): SequenceOutput[] {
    const { settings, prompt, work } = this.#prepared;
    const [first, ...others] = prompt.tokens;
    const options = {
      stop: this.#format !== undefined && endsItself(this.#format) ? [] : settings.stop,
      logprobs: settings.logprobs !== undefined,
      continuation: others.length > 0 || first !== this.#model.bosTokenId,
      shown: this.#job.shownTokens,
    };
    return Array.from(
      { length: work.sequences },
      (_, index) => new SequenceOutput(index, this.#model.tokenizer, options),
    );
  }

  #constraint(): Promise<Constraint | undefined> {
    const format = this.#format;
    this.#format = undefined;
    return constraintOf(format, this.#model);
  }

  #requests(constraint: Constraint | undefined): SequenceRequest[] {
    const { id, goesOn = false } = this.#job;
    return sequenceRequests(this.#prepared, {
      id,
      deadline: this.#deadline,
      ...(constraint === undefined ? {} : { constraint }),
      ...(goesOn ? { goesOn } : {}),
    });
  }

  #on(index: number, event: EngineEvent): void {
    const output = this.#outputs[index];
    if (output === undefined) throw new Error(`the engine spoke of sequence ${index}, which this request has not`);
    if (event.type === 'started') {
      const isFirst = !this.#timeline.hasStarted;
      this.#timeline.sequenceStarted(this.#prepared.work.promptTokens, event.cachedTokens);
      if (isFirst) this.#job.onStart?.();
    } else if (event.type === 'prompt') {
      this.#addPromptLogprobs(event.logprobs);
    } else if (event.type === 'token') {
      // A stop string has ended it, or the deadline; what the engine had already computed is not wanted.
      if (output.finishReason !== null) return;
      this.#timeline.token(index);
      this.#tell(output.push(event.token, event.logprobs));
      if (output.finishReason !== null) this.#model.engine.cancel(sequenceId(this.#job.id, index));
    } else if (output.finishReason === null) {
      if (event.reason === 'failed') {
        throw new AppError(
          'engine_failed',
          `the engine failed: ${event.error ?? 'it gave no reason'}; please try again`,
        );
      }
      if (event.reason === 'rejected')
        throw new AppError('invalid_field', event.error ?? 'the request cannot be answered');
      if (event.reason === 'timeout') throw this.#timeoutError();
      this.#tell(output.finish(event.reason));
    }
  }

  #addPromptLogprobs(logprobs: readonly (TokenLogprobs | null)[]): void {
    const { tokens } = this.#prepared.prompt;
    for (const entry of logprobs) {
      const token = tokens[this.#promptLogprobs.length] ?? 0;
      this.#promptLogprobs.push(entry === null ? null : describeLogprobs(this.#model.tokenizer, token, entry));
    }
    if (this.#promptLogprobs.length === tokens.length) this.#job.onPrompt?.(this.#promptLogprobs);
  }

  #observePace(turns: Turns): void {
    const pace = this.#timeline.pace();
    if (pace === undefined) return;
    turns.observe(
      { work: this.#prepared.work, ...pace, generatedTokens: this.#longestOutput() },
      this.#model.engine.info,
    );
  }

  /** Those who read the stream get what was held back. */
  #finishLate(): void {
    for (const output of this.#outputs) {
      if (output.finishReason === null) this.#tell(output.finish('timeout'));
    }
  }

  #report(outcome: Outcome): void {
    const { promptTokens, maxNewTokens } = this.#prepared.work;
    this.#timeline.finished({
      outcome: outcome === 'done' ? (this.#outputs[0]?.finishReason ?? 'failed') : outcome,
      finishReasons: this.#outputs.flatMap(({ finishReason }) => finishReason ?? []),
      promptTokens,
      completionTokens: this.#completionTokens(),
      longestOutput: this.#longestOutput(),
      outputs: this.#outputs.length,
      maxNewTokens,
    });
  }

  /** Also where nobody listens, its argument is computed: the output grows by it. */
  #tell(added: GenerateOutput): void {
    this.#job.onDelta?.(added);
  }

  #completionTokens(): number {
    return this.#outputs.reduce((sum, output) => sum + output.tokenCount, 0);
  }

  #longestOutput(): number {
    return Math.max(...this.#outputs.map((output) => output.tokenCount));
  }

  #timeoutError(): AppError {
    const why = this.#model.whyNotReady();
    if (why !== undefined) {
      return new AppError('model_not_ready', `the model did not answer within ${this.#timeoutSeconds} s: ${why}`, {
        retryAfter: NOT_READY_RETRY_AFTER,
      });
    }
    return new AppError('timeout', `the request was not done within ${this.#timeoutSeconds} s; ask for fewer tokens`);
  }
}

/** JSON does, and cut it is of no use. */
function endsItself({ type }: AnswerForm): boolean {
  return type !== 'text' && type !== 'regex';
}
