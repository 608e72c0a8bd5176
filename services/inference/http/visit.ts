/**
 * One request that generates, from its first byte to its last: counted while it is there, its body read, its model held, its leaving
 * noticed, its answer sent whole or as a stream. What all generating routes share; knows nothing of their fields.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { GenerateAnswer } from '@slipway/shared/contracts/generate.ts';
import { EVENT_STREAM_HEADERS, type EventStream } from '@slipway/shared/http/event-stream.ts';
import { readJsonBody } from '@slipway/shared/http/json-body.ts';
import { describeError, type RequestEnvironment } from '@slipway/shared/http/request-context.ts';
import { CLIENT_CLOSED_REQUEST } from '@slipway/shared/http/unless-gone.ts';
import { steadyNow } from '@slipway/shared/lib/steady-now.ts';
import type { Context } from 'hono';
import pLimit from 'p-limit';
import { CancelledError, type GenerateJob, Generation } from '../generation/generate.ts';
import type { LoadedModel } from '../generation/loaded-model.ts';
import type { GenerationObserver } from '../generation/observer.ts';
import type { Route, ServiceParts } from './service-parts.ts';

export type VisitRoute = (visit: Visit, context: Context<RequestEnvironment>) => Promise<Response>;

/** A route whose requests are counted as being answered, streams until their end. AppError draining or overloaded. */
export function visited(parts: ServiceParts, route: VisitRoute): Route {
  return async (context) => {
    const visit = new Visit(context, parts);
    try {
      const response = await route(visit, context);
      if (!visit.isStreaming) visit.leave();
      return response;
    } catch (error) {
      visit.leave();
      if (!(error instanceof CancelledError)) throw error;
      return new Response(null, { status: CLIENT_CLOSED_REQUEST });
    }
  };
}

/** `signal`: another than the visit's own. */
export type VisitJob = Omit<GenerateJob, 'requestId' | 'signal' | 'arrivedAt'> & { readonly signal?: AbortSignal };

/** How a stream ends. */
export interface StreamEnd<T> {
  readonly done: (result: T) => void;
  readonly failed: (error: unknown) => void;
  /** For the request's line in the log. */
  readonly summary: (result: T) => Record<string, unknown>;
}

export class Visit {
  readonly requestId: string;
  /** Aborts when the client has left. */
  readonly signal: AbortSignal;
  readonly #context: Context<RequestEnvironment>;
  readonly #parts: ServiceParts;
  readonly #leaving: (() => void)[];
  /** When its body had been read, as performance.now() has it: its time begins before a model is loaded for it. */
  #readAt = performance.now();
  #isStreaming = false;
  /** Of the generations whose answers may be kept. */
  readonly #keys = new Map<Generation, string>();
  #recalled = 0;

  constructor(context: Context<RequestEnvironment>, parts: ServiceParts) {
    this.#leaving = [parts.inFlight.enter()];
    this.#context = context;
    this.#parts = parts;
    this.requestId = context.get('requestId');
    this.signal = context.req.raw.signal;
  }

  get isStreaming(): boolean {
    return this.#isStreaming;
  }

  leave(): void {
    for (const one of this.#leaving.splice(0)) one();
  }

  /** The body as JSON. AppError body_too_large, invalid_json or request_timeout; CancelledError when the client leaves meanwhile. */
  async body(): Promise<unknown> {
    try {
      const { bodies, config } = this.#parts;
      return await bodies.read((grow) => readJsonBody(this.#context.req.raw, config.bodyLimitBytes, grow));
    } catch (error) {
      if (!(error instanceof AppError) && this.signal.aborted) throw new CancelledError('the client has left');
      throw error;
    }
  }

  /** The model of that name, or the one that is served when none is given, held until the visit ends. AppError not_found, model_not_ready. */
  async model(wanted: string | undefined): Promise<LoadedModel> {
    const { models, config } = this.#parts;
    this.#readAt = performance.now();
    const deadline = steadyNow() + config.timeoutSeconds * 1000;
    try {
      const model = await models.find(wanted, { signal: this.signal, deadline });
      this.#leaving.unshift(model.hold());
      return model;
    } catch (error) {
      if (this.signal.aborted) throw new CancelledError('the client has left');
      throw error;
    }
  }

  /** AppError invalid_field when the request does not fit the model. */
  generation(model: LoadedModel, job: VisitJob): Generation {
    const { config } = this.#parts;
    const { requestId, signal } = this;
    const arrivedAt = this.#readAt;
    const generation = new Generation(model, config, this.#observerFor(model, job), {
      signal,
      ...job,
      requestId,
      arrivedAt,
    });
    const caller = this.#context.get('principal').name;
    const { name, fingerprint } = model;
    const key = this.#parts.answers?.keyOf({ caller, model: name, fingerprint, request: job.request });
    if (key !== undefined) this.#keys.set(generation, key);
    return generation;
  }

  #observerFor({ name, manifest }: LoadedModel, { id, request }: VisitJob): GenerationObserver {
    const { metrics, tracing } = this.#parts;
    const counted = metrics.observerFor(name);
    if (tracing === null) return counted;
    const { prompt, ...settings } = request;
    const isChat = this.#context.req.path.includes('chat');
    return tracing.observer(this.#context, { id, model: name, version: manifest?.version, isChat, settings }, counted);
  }

  /** AppError rate_limited when the caller has no tokens left for it; what Generation rejects with otherwise. */
  async run(generation: Generation): Promise<GenerateAnswer> {
    const key = this.#keys.get(generation);
    const kept = key === undefined ? undefined : this.#recall(key);
    if (kept !== undefined) return generation.replay(kept);
    const settle = this.#context.get('allowance').reserveTokens(generation.mostTokens);
    try {
      const answer = await generation.run(this.#parts.turns);
      if (key !== undefined) this.#parts.answers?.set(key, answer);
      return answer;
    } finally {
      settle(generation.usedTokens);
    }
  }

  /** An answer that was kept; says by a header whether all of the visit's, or only some, were. */
  #recall(key: string): GenerateAnswer | undefined {
    const kept = this.#parts.answers?.get(key);
    if (kept !== undefined) this.#recalled += 1;
    const isWhole = this.#recalled === this.#keys.size;
    const outcome = this.#recalled === 0 ? 'miss' : isWhole ? 'hit' : 'partial';
    this.#context.header('x-slipway-cache', outcome);
    this.log({ cache: outcome });
    return kept;
  }

  /**
   * Several generations of one visit, made with `together`'s signal, as many at once as the service lets run. When one fails, the others end and
   * the first failure is what this rejects with.
   */
  async runAll(generations: readonly Generation[], together: AbortController): Promise<GenerateAnswer[]> {
    const limit = pLimit(this.#parts.config.occupancySemaphore);
    const running = generations.map((generation) => limit(() => this.run(generation)));
    try {
      return await Promise.all(running);
    } catch (error) {
      together.abort();
      await Promise.allSettled(running);
      throw error;
    }
  }

  log(fields: Record<string, unknown>): void {
    this.#context.set('logged', { ...this.#context.get('logged'), ...fields });
  }

  /**
   * Answers with events. The headers wait until `started`, so that what goes wrong before has a status of its own: `running` then
   * rejects. The visit ends with `running`.
   */
  async stream<T>(
    events: EventStream,
    started: Promise<void>,
    running: Promise<T>,
    end: StreamEnd<T>,
  ): Promise<Response> {
    await Promise.race([started, running]);
    this.#isStreaming = true;
    const { outgoing } = this.#context.env;
    if (outgoing !== undefined) {
      const onCut = () => this.log({ cut_off: 'the reader was too slow' });
      this.#parts.unsent.weighStream(outgoing, { queuedBytes: () => events.queuedBytes, onCut });
    }
    void this.#finish(events, running, end).finally(() => this.leave());
    return this.#context.body(events.readable, 200, EVENT_STREAM_HEADERS);
  }

  async #finish<T>(events: EventStream, running: Promise<T>, end: StreamEnd<T>): Promise<void> {
    try {
      const result = await running;
      end.done(result);
      this.log(end.summary(result));
    } catch (error) {
      if (error instanceof CancelledError) return;
      this.log(describeError(error, this.requestId, this.#parts.log));
      end.failed(error);
    } finally {
      events.close();
    }
  }
}

/** What a request's line in the log says of its answer. */
export function summaryOf(answer: GenerateAnswer): Record<string, unknown> {
  return { model: answer.model, ...answer.usage, ...answer.timings, finish_reason: answer.outputs[0]?.finish_reason };
}
