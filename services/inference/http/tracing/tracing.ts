/**
 * Traces of requests, where a collector is named. Knows no OpenTelemetry: its packages are loaded only then, and otherwise cost nothing.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { FinishedRequest, RequestEnvironment } from '@slipway/shared/http/request-context.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import type { Context } from 'hono';
import type { GenerationObserver } from '../../generation/observer.ts';
import type { RequestTrace, TracedGeneration, Tracer } from './tracer.ts';

/** AppError invalid_field for an endpoint that is no URL. */
export async function startTracing(endpoint: string | null, log: Logger): Promise<Tracing | null> {
  if (endpoint === null) return null;
  if (!URL.canParse(endpoint) || !['http:', 'https:'].includes(new URL(endpoint).protocol)) {
    const wanted = 'a URL such as http://collector:4318';
    throw new AppError('invalid_field', `OTEL_EXPORTER_OTLP_ENDPOINT must be ${wanted}, not ${endpoint}`);
  }
  const { openTelemetry } = await import('./open-telemetry.ts');
  return new Tracing(openTelemetry(endpoint, log));
}

/** Finds the trace of a request again wherever its context is known. */
export class Tracing {
  readonly #tracer: Tracer;
  readonly #traces = new WeakMap<Context<RequestEnvironment>, RequestTrace>();

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** Gives what the request's line in the log says of it. */
  begin(context: Context<RequestEnvironment>): RequestTrace['ids'] {
    const { method, path } = context.req;
    const trace = this.#tracer.begin({ method, path, header: (name) => context.req.header(name) });
    this.#traces.set(context, trace);
    return trace.ids;
  }

  end(context: Context<RequestEnvironment>, request: FinishedRequest): void {
    this.#traces.get(context)?.end(request);
  }

  /** Watches along with `other`. */
  observer(
    context: Context<RequestEnvironment>,
    generation: TracedGeneration,
    other: GenerationObserver,
  ): GenerationObserver {
    const own = this.#traces.get(context)?.observerFor(generation);
    return own === undefined ? other : together(other, own);
  }

  close(): Promise<void> {
    return this.#tracer.close();
  }
}

function together(first: GenerationObserver, second: GenerationObserver): GenerationObserver {
  return {
    arrived() {
      first.arrived();
      second.arrived();
    },
    leftQueue(seconds) {
      first.leftQueue(seconds);
      second.leftQueue(seconds);
    },
    sequenceStarted(promptTokens, cachedTokens) {
      first.sequenceStarted(promptTokens, cachedTokens);
      second.sequenceStarted(promptTokens, cachedTokens);
    },
    firstToken(seconds) {
      first.firstToken(seconds);
      second.firstToken(seconds);
    },
    token(secondsSinceLast) {
      first.token(secondsSinceLast);
      second.token(secondsSinceLast);
    },
    finished(generation) {
      first.finished(generation);
      second.finished(generation);
    },
  };
}
