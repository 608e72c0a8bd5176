/** Traces, as a collector gets them: the real exporter over HTTP, and nothing at all where none is named. */
import { join } from 'node:path';
import type { GenerateAnswer } from '@slipway/shared/contracts/generate.ts';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { eventually, post } from '../service/testing/raw-client.ts';
import { startTestService, type TestService, type TestServiceOptions } from '../service/testing/test-service.ts';
import { type Collector, type SpanData, startCollector } from './testing/collector.ts';
import { startRealService } from './testing/real-service.ts';

vi.setConfig({ testTimeout: 120_000 });

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';
const SECRET = 'a prompt that nobody else may read';

let collector: Collector;
let service: TestService;
let log: Record<string, unknown>[];

async function start(options: TestServiceOptions = {}, status = 200): Promise<void> {
  collector = await startCollector(status);
  log = [];
  service = await startTestService({
    ...options,
    config: { ...options.config, otlpEndpoint: collector.endpoint },
    onLog: (line) => log.push(JSON.parse(line)),
  });
}
afterEach(async () => {
  await service?.close();
  await collector?.close();
});

const ask = (body: object, headers: Record<string, string> = {}) =>
  fetch(`${service.url}/generate`, { method: 'POST', body: JSON.stringify(body), headers });

/** All that has been traced: closing sends the rest. */
async function traced(): Promise<SpanData[]> {
  await service.close();
  return collector.spans;
}

function named(spans: readonly SpanData[], name: string): SpanData {
  const found = spans.filter((span) => span.name === name);
  const [span] = found;
  if (span === undefined || found.length > 1) throw new Error(`${found.length} spans are named ${name}`);
  return span;
}

const requestLine = () => log.find(({ msg, path }) => msg === 'request' && path === '/generate');

describe('a generation', () => {
  it('is a span within its request, which is within its caller, with a span for each part', async () => {
    await start({ decodeDelay: 5, prefillDelay: 1 });
    const body = { prompt: SECRET, max_new_tokens: 5, ignore_eos: true, seed: 7, temperature: 0.5, stop: 'never read' };
    const headers = { traceparent: `00-${TRACE}-${CALLER}-01`, 'x-request-id': 'traced-1' };
    const answer: GenerateAnswer = JSON.parse(await (await ask(body, headers)).text());
    const spans = await traced();

    const request = named(spans, 'POST /generate');
    const generation = named(spans, 'text_completion synthetic');
    const parts = ['queue', 'prefill', 'decode'].map((name) => named(spans, name));
    expect(spans).toHaveLength(5);
    expect(spans.map(({ traceId }) => traceId)).toEqual(Array(5).fill(TRACE));
    expect(request).toMatchObject({ parentSpanId: CALLER, kind: 2, status: { code: 0 } });
    expect(request.attributes).toEqual({
      'http.request.method': 'POST',
      'url.path': '/generate',
      'http.route': '/generate',
      'http.response.status_code': 200,
    });
    expect(generation).toMatchObject({ parentSpanId: request.spanId, status: { code: 0 } });
    expect(generation.attributes).toMatchObject({
      'gen_ai.operation.name': 'text_completion',
      'gen_ai.provider.name': 'slipway',
      'gen_ai.system': 'slipway',
      'gen_ai.request.model': 'synthetic',
      'gen_ai.response.model': 'synthetic',
      'gen_ai.request.temperature': 0.5,
      'gen_ai.request.max_tokens': 5,
      'gen_ai.request.seed': 7,
      'gen_ai.response.id': answer.id,
      'gen_ai.response.finish_reasons': ['length'],
      'gen_ai.usage.input_tokens': SECRET.length,
      'gen_ai.usage.output_tokens': 5,
      'gen_ai.usage.cache_read.input_tokens': 0,
    });
    let at = generation.startTimeUnixNano;
    for (const part of parts) {
      expect(part.parentSpanId).toBe(generation.spanId);
      expect(part.startTimeUnixNano).toBeGreaterThanOrEqual(at);
      at = part.endTimeUnixNano;
    }
    expect(generation.endTimeUnixNano).toBeGreaterThanOrEqual(at);
    expect(request.endTimeUnixNano).toBeGreaterThanOrEqual(generation.endTimeUnixNano);
    expect(collector.resources[0]).toMatchObject({
      'service.name': 'slipway-inference',
      'service.instance.id': expect.stringMatching(/:\d+$/),
    });
    expect(requestLine()).toMatchObject({ request_id: 'traced-1', trace_id: TRACE, span_id: request.spanId });
  });

  it('tells nothing of its text', async () => {
    await start();
    const body = { prompt: SECRET, max_new_tokens: 30, ignore_eos: true, stop: 'no reader' };
    const { text } = (await service.generate(body)).body;
    await traced();
    const sent = collector.bodies.join('');
    expect(sent).toContain('text_completion');
    for (const secret of [SECRET, SECRET.slice(2, 8), 'no reader', text]) expect(sent).not.toContain(secret);
  });

  it('without a caller begins a trace of its own, a broken header included', async () => {
    await start();
    await (await ask({ prompt: 'a', max_new_tokens: 1 })).text();
    await (await ask({ prompt: 'a', max_new_tokens: 1 }, { traceparent: '00-nonsense' })).text();
    const requests = (await traced()).filter(({ name }) => name === 'POST /generate');
    expect(requests.map(({ parentSpanId }) => parentSpanId)).toEqual([undefined, undefined]);
    expect(new Set(requests.map(({ traceId }) => traceId)).size).toBe(2);
  });

  it('whose caller does not record is not recorded', async () => {
    await start();
    await (await ask({ prompt: 'a', max_new_tokens: 1 }, { traceparent: `00-${TRACE}-${CALLER}-00` })).text();
    expect(await traced()).toEqual([]);
    expect(requestLine()).toMatchObject({ trace_id: TRACE });
  });

  it('that runs out of time in a stream is an error, though it began with 200', async () => {
    await start({ decodeDelay: 20, config: { timeoutSeconds: 1 } });
    await (await ask({ prompt: 'a', max_new_tokens: 500, ignore_eos: true, stream: true })).text();
    const spans = await traced();
    expect(named(spans, 'text_completion synthetic')).toMatchObject({
      status: { code: 2 },
      attributes: { 'error.type': 'timeout', 'gen_ai.response.finish_reasons': ['timeout'] },
    });
    expect(named(spans, 'POST /generate')).toMatchObject({
      status: { code: 2 },
      attributes: { 'error.type': 'timeout', 'http.response.status_code': 200 },
    });
  });

  it('whose client leaves ends with it, and is no error', async () => {
    await start({ decodeDelay: 20 });
    const client = await post(service.url, '/generate', {
      prompt: 'a',
      max_new_tokens: 400,
      ignore_eos: true,
      stream: true,
    });
    await client.sees('data: ');
    client.socket.destroy();
    await eventually(requestLine, (line) => line !== undefined);
    await eventually(
      () => service.engine.stats().running,
      (running) => running === 0,
    );
    const spans = await traced();
    expect(named(spans, 'text_completion synthetic')).toMatchObject({ status: { code: 0 } });
    expect(named(spans, 'decode').endTimeUnixNano).toBeGreaterThan(0n);
  });
});

describe('requests that generate nothing', () => {
  it('are traced when they are wrong, as no failure of the service, and not at all when they are probes', async () => {
    await start();
    for (const path of ['/healthz', '/readyz', '/metrics']) await service.get(path);
    expect((await service.generate({ prompt: 3 })).status).toBe(422);
    expect((await service.get('/nothing')).status).toBe(404);
    const spans = await traced();
    expect(spans.map(({ name }) => name)).toEqual(['POST /generate', 'GET']);
    expect(spans.map(({ status }) => status.code)).toEqual([0, 0]);
    expect(spans.map(({ attributes }) => attributes['error.type'])).toEqual(['invalid_field', 'not_found']);
  });
});

describe('a collector', () => {
  it('that refuses costs a line in the log and no request', async () => {
    await start({}, 400);
    expect((await service.generate({ prompt: 'a', max_new_tokens: 1 })).status).toBe(200);
    await service.close();
    expect(log.filter(({ exporter }) => exporter === 'otlp')).not.toEqual([]);
  });

  it('whose address is none is an error at the start that says so', async () => {
    const wrong = startTestService({ config: { otlpEndpoint: 'collector:4318' } });
    await expect(wrong).rejects.toThrow('OTEL_EXPORTER_OTLP_ENDPOINT must be a URL such as http://collector:4318');
  });
});

describe('the process', () => {
  const preload = `--import=${join(import.meta.dirname, 'testing', 'print-loaded-modules.mjs')}`;

  it('loads nothing of OpenTelemetry where no collector is named', async () => {
    const real = await startRealService({ NODE_OPTIONS: preload });
    expect((await real.generate({ prompt: 'Once', max_new_tokens: 2 })).status).toBe(200);
    await real.stop();
    // prom-client itself loads its small interface package.
    expect(real.errors()).not.toMatch(/@opentelemetry\/(?!api\/)/);
    expect(real.log.find(({ msg }) => msg === 'request')).not.toHaveProperty('trace_id');
  });

  it('sends the rest of its traces when it is ended, with the headers and names of the standard variables', async () => {
    collector = await startCollector();
    const real = await startRealService({
      NODE_OPTIONS: preload,
      OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.endpoint}/`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-team=stories',
      OTEL_SERVICE_NAME: 'storyteller',
    });
    const answer: GenerateAnswer = JSON.parse(
      await (await real.generate({ prompt: 'Once', max_new_tokens: 2 })).text(),
    );
    await real.stop();
    expect(real.errors()).toContain('@opentelemetry/sdk-trace/');
    expect(named(collector.spans, 'text_completion shakespeare-gpt2').attributes).toMatchObject({
      'gen_ai.response.id': answer.id,
      'gen_ai.response.model': 'shakespeare-gpt2@v001',
    });
    expect(collector.resources[0]).toMatchObject({ 'service.name': 'storyteller' });
    expect(collector.headers[0]).toMatchObject({ 'x-team': 'stories' });
  });
});
