/**
 * A request from its prompt to its answer: encode, admit, submit, decode, account. Owns the deadline and what leaving means.
 * Knows nothing of HTTP; whoever calls it gets deltas by a callback and the whole answer at the end.
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
import { clampNewTokens, promptLimit, type Work } from './admission.ts';
import type { LoadedModel } from './loaded-model.ts';
import type { GenerationObserver } from './observer.ts';
import type { Turns } from './occupancy.ts';
import { type PreparedPrompt, preparePrompt } from './prompt.ts';
import { runSequences } from './run-sequences.ts';
import { type SequenceSampling, samplingOf } from './sampling-settings.ts';
import { drawSeed, seedOfSequence } from './seeds.ts';
import { describeLogprobs, SequenceOutput } from './sequence-output.ts';
import { tokenTableOf } from './token-table.ts';

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
  /** Not what may have megabytes: many requests wait. */
  readonly #settings: Omit<GenerateRequest, 'prompt' | 'response_format'>;
  readonly #observer: GenerationObserver;
  readonly #outputs: SequenceOutput[];
  readonly #prompt: PreparedPrompt;
  readonly #maxNewTokens: number;
  readonly #seed: number;
  readonly #timeoutSeconds: number;
  readonly #arrivedAt: number;
  readonly #deadline: number;
  readonly #lastTokenAt: number[] = [];
  readonly #sampling: SequenceSampling;
  readonly #promptLogprobs: (OutputLogprobs | null)[] = [];
  /** Taken when it runs. */
  #format: AnswerForm | undefined;
  #cachedTokens = 0;
  #startedAt: number | undefined;
  #firstTokenAt: number | undefined;

  /** AppError invalid_field when the prompt does not fit the model. */
  constructor(model: LoadedModel, limits: GenerationLimits, observer: GenerationObserver, job: GenerateJob) {
    const { request, ...rest } = job;
    const { prompt, response_format, ...settings } = request;
    const { contextLength, vocabularySize } = model.engine.info;
    const limit = promptLimit(settings.max_new_tokens, { maxPromptTokens: limits.maxPromptTokens, contextLength });
    this.#model = model;
    this.#job = rest;
    this.#settings = settings;
    this.#format = response_format;
    this.#observer = observer;
    this.#prompt = preparePrompt(prompt, { ...model, vocabularySize }, limit);
    this.#maxNewTokens = clampNewTokens(settings.max_new_tokens, this.#prompt.tokens.length, contextLength);
    this.#seed = settings.seed ?? drawSeed();
    this.#sampling = samplingOf(settings, { ...model, vocabularySize });
    this.#timeoutSeconds = limits.timeoutSeconds;
    this.#arrivedAt = job.arrivedAt;
    this.#deadline = steadyNow() - (performance.now() - job.arrivedAt) + limits.timeoutSeconds * 1000;
    const [first, ...others] = this.#prompt.tokens;
    const options = {
      stop: response_format !== undefined && endsItself(response_format) ? [] : settings.stop,
      logprobs: settings.logprobs !== undefined,
      continuation: others.length > 0 || first !== model.bosTokenId,
      shown: job.shownTokens,
    };
    this.#outputs = Array.from(
      { length: settings.num_return_sequences },
      (_, index) => new SequenceOutput(index, model.tokenizer, options),
    );
  }

  /** What it may come to use, of prompt and answers. */
  get mostTokens(): number {
    return this.#prompt.tokens.length + this.#maxNewTokens * this.#outputs.length;
  }

  /** What it has used. */
  get usedTokens(): number {
    return this.#startedAt === undefined ? 0 : this.#prompt.tokens.length + this.#completionTokens();
  }

  /** Rejects with AppError invalid_field when there can be no such text, overloaded, timeout, model_not_ready or engine_failed, or CancelledError. Whatever happens, the engine is left clean. */
  async run(turns: Turns): Promise<GenerateAnswer> {
    const constraint = await this.#constraint();
    const { info } = this.#model.engine;
    const work = this.#work();
    const abort = new AbortController();
    const leave = () => abort.abort(new CancelledError('the client has left'));
    this.#job.signal.addEventListener('abort', leave, { once: true });
    if (this.#job.signal.aborted) leave();
    let outcome: Outcome = 'failed';
    this.#observer.arrived();
    try {
      const running = turns.run(work, info, this.#deadline, abort.signal, async (signal) => {
        await this.#model.whenReady(signal);
        await runSequences(this.#model.engine, this.#requests(constraint), signal, (index, event) =>
          this.#on(index, event),
        );
      });
      await pTimeout(running, { milliseconds: Math.max(1, this.#deadline - steadyNow()) });
      abort.signal.throwIfAborted();
      outcome = 'done';
      this.#observePace(turns, work);
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
    const elapsed = milliseconds(performance.now() - this.#arrivedAt);
    return {
      ...kept,
      id: this.#job.id,
      request_id: this.#job.requestId,
      timings: {
        queue_ms: 0,
        time_to_first_token_ms: elapsed,
        total_ms: elapsed,
        tokens_per_second: milliseconds((kept.usage.completion_tokens * 1000) / Math.max(0.001, elapsed)),
        cached_prompt_tokens: kept.usage.prompt_tokens,
      },
    };
  }

  /** The answer as far as it has come. */
  answer(): GenerateAnswer {
    const now = performance.now();
    const startedAt = this.#startedAt ?? now;
    const completionTokens = this.#completionTokens();
    const outputs = this.#outputs.map((output) => output.whole());
    return {
      id: this.#job.id,
      model: this.#model.name,
      text: outputs[0]?.text ?? '',
      outputs,
      ...(this.#settings.prompt_logprobs === undefined ? {} : { prompt_logprobs: this.#promptLogprobs }),
      usage: {
        prompt_tokens: this.#prompt.tokens.length,
        completion_tokens: completionTokens,
        prompt_truncated: this.#prompt.truncated,
      },
      timings: {
        queue_ms: milliseconds(startedAt - this.#arrivedAt),
        time_to_first_token_ms:
          this.#firstTokenAt === undefined ? null : milliseconds(this.#firstTokenAt - this.#arrivedAt),
        total_ms: milliseconds(now - this.#arrivedAt),
        tokens_per_second: milliseconds((completionTokens * 1000) / Math.max(0.001, now - startedAt)),
        cached_prompt_tokens: this.#cachedTokens,
      },
      seed: this.#seed,
      request_id: this.#job.requestId,
      system_fingerprint: this.#model.fingerprint,
    };
  }

  /** Undefined when any text will do. */
  async #constraint(): Promise<Constraint | undefined> {
    const format = this.#format;
    this.#format = undefined;
    if (format === undefined || format.type === 'text') return undefined;
    const { grammarOfFormat } = await import('./grammar/grammar-of-format.ts');
    const { tokenizer, engine } = this.#model;
    const grammar = grammarOfFormat(format);
    return { grammar, tokens: await tokenTableOf(tokenizer, engine.info.vocabularySize) };
  }

  #requests(constraint: Constraint | undefined): SequenceRequest[] {
    const settings = this.#settings;
    const eosTokenIds = settings.stop_on_eos && !settings.ignore_eos ? this.#model.eosTokenIds : [];
    return this.#outputs.map(({ index }) => ({
      id: `${this.#job.id}-${index}`,
      prompt: this.#prompt.tokens,
      maxNewTokens: this.#maxNewTokens,
      minNewTokens: settings.min_new_tokens,
      eosTokenIds,
      stopTokenIds: settings.stop_token_ids,
      sampling: { ...this.#sampling, seed: seedOfSequence(this.#seed, index) },
      ...(settings.logprobs === undefined ? {} : { logprobs: settings.logprobs }),
      // Every sequence has the same prompt.
      ...(settings.prompt_logprobs === undefined || index > 0 ? {} : { promptLogprobs: settings.prompt_logprobs }),
      ...(constraint === undefined ? {} : { constraint }),
      ...(this.#job.goesOn ? { goesOn: true } : {}),
      deadline: this.#deadline,
    }));
  }

  #on(index: number, event: EngineEvent): void {
    const output = this.#outputs[index];
    if (output === undefined) throw new Error(`the engine spoke of sequence ${index}, which this request has not`);
    const now = performance.now();
    if (event.type === 'started') {
      if (this.#startedAt === undefined) {
        this.#startedAt = now;
        this.#cachedTokens = event.cachedTokens;
        this.#observer.leftQueue((now - this.#arrivedAt) / 1000);
        this.#job.onStart?.();
      }
      this.#observer.sequenceStarted(this.#prompt.tokens.length, event.cachedTokens);
    } else if (event.type === 'prompt') {
      this.#addPromptLogprobs(event.logprobs);
    } else if (event.type === 'token') {
      // A stop string has ended it, or the deadline; what the engine had already computed is not wanted.
      if (output.finishReason !== null) return;
      this.#clock(index, now);
      this.#tell(output.push(event.token, event.logprobs));
      if (output.finishReason !== null) this.#model.engine.cancel(`${this.#job.id}-${index}`);
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
    for (const entry of logprobs) {
      const token = this.#prompt.tokens[this.#promptLogprobs.length] ?? 0;
      this.#promptLogprobs.push(entry === null ? null : describeLogprobs(this.#model.tokenizer, token, entry));
    }
    if (this.#promptLogprobs.length === this.#prompt.tokens.length) this.#job.onPrompt?.(this.#promptLogprobs);
  }

  #tell(added: GenerateOutput): void {
    this.#job.onDelta?.(added);
  }

  #clock(index: number, now: number): void {
    if (this.#firstTokenAt === undefined) {
      this.#firstTokenAt = now;
      this.#observer.firstToken((now - this.#arrivedAt) / 1000);
    }
    const last = this.#lastTokenAt[index];
    this.#observer.token(last === undefined ? undefined : (now - last) / 1000);
    this.#lastTokenAt[index] = now;
  }

  #work(): Work {
    return {
      promptTokens: this.#prompt.tokens.length,
      maxNewTokens: this.#maxNewTokens,
      sequences: this.#outputs.length,
    };
  }

  #observePace(turns: Turns, work: Work): void {
    if (this.#startedAt === undefined || this.#firstTokenAt === undefined) return;
    turns.observe(
      {
        work,
        prefillSeconds: (this.#firstTokenAt - this.#startedAt) / 1000,
        decodeSeconds: (performance.now() - this.#firstTokenAt) / 1000,
        generatedTokens: Math.max(...this.#outputs.map((output) => output.tokenCount)),
      },
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
    const now = performance.now();
    const startedAt = this.#startedAt ?? now;
    const firstTokenAt = this.#firstTokenAt ?? now;
    this.#observer.finished({
      outcome: outcome === 'done' ? (this.#outputs[0]?.finishReason ?? 'failed') : outcome,
      finishReasons: this.#outputs.flatMap(({ finishReason }) => finishReason ?? []),
      promptTokens: this.#prompt.tokens.length,
      completionTokens: this.#completionTokens(),
      longestOutput: Math.max(...this.#outputs.map((output) => output.tokenCount)),
      outputs: this.#outputs.length,
      maxNewTokens: this.#maxNewTokens,
      totalSeconds: (now - this.#arrivedAt) / 1000,
      prefillSeconds: (firstTokenAt - startedAt) / 1000,
      decodeSeconds: (now - firstTokenAt) / 1000,
    });
  }

  #completionTokens(): number {
    return this.#outputs.reduce((sum, output) => sum + output.tokenCount, 0);
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

function milliseconds(value: number): number {
  return Math.round(value * 100) / 100;
}
