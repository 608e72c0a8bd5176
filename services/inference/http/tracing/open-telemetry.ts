/**
 * The only file that knows OpenTelemetry: spans for a request, its generations and their parts, with the attributes of the conventions for
 * HTTP servers and for generative AI (https://opentelemetry.io/docs/specs/semconv/gen-ai/), sent as OTLP over HTTP. Text never leaves here:
 * no prompt, no answer, no stop string.
 */
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Attributes,
  type Context,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type Tracer as SpanMaker,
  SpanStatusCode,
  type TextMapGetter,
  trace,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Logger } from '@slipway/shared/lib/log.ts';
import type { FinishedGeneration, GenerationObserver } from '../../generation/observer.ts';
import manifest from '../../package.json' with { type: 'json' };
import type { TracedGeneration, Tracer } from './tracer.ts';

/** A collector that does not answer must not keep a service from ending. */
const CLOSING_MILLISECONDS = 2000;

/** `endpoint`: without the path. Headers, timeouts and resource attributes come from the standard's own environment variables. */
export function openTelemetry(endpoint: string, log: Logger): Tracer {
  const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`;
  watchExporter(log);
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': 'slipway-inference',
      'service.version': manifest.version,
      'service.instance.id': `${hostname()}:${process.pid}`,
    }).merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url }) })],
  });
  const spans = provider.getTracer('slipway', manifest.version);
  const propagator = new W3CTraceContextPropagator();
  log.info({ url }, 'traces are sent');
  return {
    begin({ method, path, header }) {
      const now = clock();
      const caller = propagator.extract(ROOT_CONTEXT, header, HEADERS);
      const attributes = { 'http.request.method': method, 'url.path': path };
      const span = spans.startSpan(method, { kind: SpanKind.SERVER, attributes, startTime: now() }, caller);
      const inside = trace.setSpan(caller, span);
      const { traceId, spanId } = span.spanContext();
      return {
        ids: { trace_id: traceId, span_id: spanId },
        observerFor: (generation) => observeGeneration(spans, inside, now, generation),
        end({ route, status, error }) {
          if (route !== undefined) span.updateName(`${method} ${route}`).setAttribute('http.route', route);
          span.setAttribute('http.response.status_code', status);
          if (error !== undefined) span.setAttribute('error.type', error);
          // What a client did wrong is no failure of the server; one in a stream has a 200.
          if (status >= 500 || (error !== undefined && status < 400)) span.setStatus({ code: SpanStatusCode.ERROR });
          span.end(now());
        },
      };
    },
    async close() {
      const shutDown = provider.shutdown().catch((error: unknown) => {
        log.warn({ exporter: 'otlp' }, `the last traces were not taken: ${error}`);
      });
      await Promise.race([shutDown, sleep(CLOSING_MILLISECONDS, undefined, { ref: false })]);
    },
  };
}

/** Milliseconds since the epoch on one clock for all spans of a request, so that parts follow each other whatever happens to the time of day. */
function clock(): () => number {
  const beginning = Date.now() - performance.now();
  return () => beginning + performance.now();
}

/** Where headers are asked for by name. */
const HEADERS: TextMapGetter<(name: string) => string | undefined> = {
  get: (header, name) => header(name),
  keys: () => [],
};

/** The span of a generation, and within it one for each part it goes through. */
function observeGeneration(
  spans: SpanMaker,
  parent: Context,
  now: () => number,
  generation: TracedGeneration,
): GenerationObserver {
  const operation = generation.isChat ? 'chat' : 'text_completion';
  let span: Span | undefined;
  let part: Span | undefined;
  const enter = (name: string) => {
    const startTime = now();
    part?.end(startTime);
    part = span && spans.startSpan(name, { startTime }, trace.setSpan(parent, span));
  };
  return {
    arrived() {
      const attributes = { 'gen_ai.operation.name': operation, ...requestAttributes(generation) };
      span = spans.startSpan(`${operation} ${generation.model}`, { attributes, startTime: now() }, parent);
      enter('queue');
    },
    leftQueue: () => enter('prefill'),
    sequenceStarted: (_, cachedTokens) => span?.setAttribute('gen_ai.usage.cache_read.input_tokens', cachedTokens),
    firstToken: () => enter('decode'),
    token() {},
    finished(finished) {
      const endTime = now();
      part?.end(endTime);
      span?.setAttributes(answerAttributes(finished));
      if (['failed', 'refused', 'timeout'].includes(finished.outcome)) {
        span?.setAttribute('error.type', finished.outcome).setStatus({ code: SpanStatusCode.ERROR });
      }
      span?.end(endTime);
    },
  };
}

function requestAttributes({ id, model, version, settings }: TracedGeneration): Attributes {
  return {
    'gen_ai.provider.name': 'slipway',
    // Its name before version 1.37 of the conventions, which many still read.
    'gen_ai.system': 'slipway',
    'gen_ai.request.model': settings.model ?? model,
    'gen_ai.response.model': version === undefined ? model : `${model}@${version}`,
    'gen_ai.response.id': id,
    'gen_ai.request.max_tokens': settings.max_new_tokens,
    'gen_ai.request.temperature': settings.temperature,
    'gen_ai.request.top_p': settings.top_p,
    'gen_ai.request.top_k': settings.top_k,
    'gen_ai.request.frequency_penalty': settings.frequency_penalty,
    'gen_ai.request.presence_penalty': settings.presence_penalty,
    ...(settings.seed === undefined ? {} : { 'gen_ai.request.seed': settings.seed }),
    ...(settings.num_return_sequences === 1 ? {} : { 'gen_ai.request.choice.count': settings.num_return_sequences }),
  };
}

function answerAttributes({ promptTokens, completionTokens, finishReasons }: FinishedGeneration): Attributes {
  return {
    'gen_ai.usage.input_tokens': promptTokens,
    'gen_ai.usage.output_tokens': completionTokens,
    'gen_ai.response.finish_reasons': finishReasons.map((reason) => (reason === 'eos' ? 'stop' : reason)),
  };
}

/** What goes wrong while traces are sent is said; nothing else waits for it. */
function watchExporter(log: Logger): void {
  const warn = (message: string) => log.warn({ exporter: 'otlp' }, message);
  const ignore = () => {};
  diag.setLogger({ error: warn, warn, info: ignore, debug: ignore, verbose: ignore }, DiagLogLevel.WARN);
}
