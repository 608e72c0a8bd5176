/** What /metrics says after requests of every kind, read as Prometheus' text. */
import { afterEach, describe, expect, it } from 'vitest';
import { Exposition } from './testing/exposition.ts';
import { eventually, post } from './testing/raw-client.ts';
import { startTestService, type TestService } from './testing/test-service.ts';

let service: TestService;
afterEach(() => service.close());

const MODEL = { model_name: 'synthetic', engine: '0' };
const read = async () => new Exposition((await service.get('/metrics')).text);
/** A request's line and numbers are written when its answer has been sent, which its client may know earlier. */
const eventuallyReads = (name: string, labels: Record<string, string>, value: number) =>
  eventually(
    async () => (await read()).value(name, labels),
    (seen) => seen === value,
  );

describe('requests', () => {
  it('count under the names that dashboards read', async () => {
    service = await startTestService({});
    await service.generate({ prompt: 'four', max_new_tokens: 6, ignore_eos: true, num_return_sequences: 2 });
    const metrics = await read();
    const values = {
      'vllm:prompt_tokens_total': 4,
      'vllm:generation_tokens_total': 12,
      'vllm:inter_token_latency_seconds_count': 10,
      'vllm:prefix_cache_queries_total': 8,
      'vllm:request_prompt_tokens_sum': 4,
      'vllm:request_generation_tokens_sum': 12,
      'vllm:request_max_num_generation_tokens_sum': 6,
      'vllm:request_params_max_tokens_sum': 6,
      'vllm:request_params_n_sum': 2,
      'vllm:num_requests_running': 0,
      'vllm:num_requests_waiting': 0,
      'vllm:kv_cache_usage_perc': 0,
      'vllm:gpu_cache_usage_perc': 0,
      'vllm:num_preemptions_total': 0,
    };
    for (const [name, value] of Object.entries(values)) expect(metrics.value(name, MODEL), name).toBe(value);
    for (const name of [
      'vllm:time_to_first_token_seconds',
      'vllm:request_time_per_output_token_seconds',
      'vllm:request_queue_time_seconds',
      'vllm:request_prefill_time_seconds',
      'vllm:request_decode_time_seconds',
      'vllm:request_inference_time_seconds',
      'vllm:e2e_request_latency_seconds',
    ]) {
      expect(metrics.value(`${name}_count`, MODEL), name).toBe(1);
      expect(metrics.value(`${name}_bucket`, { ...MODEL, le: '+Inf' }), name).toBe(1);
      expect(metrics.value(`${name}_sum`, MODEL), name).toBeGreaterThan(0);
    }
    expect(metrics.value('vllm:cache_config_info', { ...MODEL, num_gpu_blocks: '4', block_size: '2048' })).toBe(1);
  });

  it('have a mean time per token that is that of one output, however many there are', async () => {
    service = await startTestService({ decodeDelay: 20 });
    await service.generate({ prompt: 'a', max_new_tokens: 11, ignore_eos: true, num_return_sequences: 4 });
    const metrics = await read();
    expect(metrics.value('vllm:request_time_per_output_token_seconds_sum', MODEL)).toBeGreaterThan(0.015);
  });

  it('show what runs and waits', async () => {
    service = await startTestService({ decodeDelay: 20, config: { occupancySemaphore: 1 } });
    const answers = [1, 2, 3].map(() => service.generate({ prompt: 'a', max_new_tokens: 30, ignore_eos: true }));
    await eventuallyReads('vllm:num_requests_running', MODEL, 1);
    const metrics = await read();
    expect(metrics.value('vllm:num_requests_waiting', MODEL)).toBe(2);
    expect(metrics.value('vllm:num_requests_waiting_by_reason', { ...MODEL, reason: 'capacity' })).toBe(2);
    await Promise.all(answers);
    expect((await read()).value('vllm:num_requests_waiting', MODEL)).toBe(0);
  });

  it('that share a prompt are seen to find it in the cache', async () => {
    service = await startTestService({});
    const body = { prompt: 'x'.repeat(100), max_new_tokens: 1, ignore_eos: true };
    await service.generate(body);
    await service.generate(body);
    const metrics = await read();
    expect(metrics.value('vllm:prefix_cache_hits_total', MODEL)).toBe(98);
    expect(metrics.value('vllm:prompt_tokens_total', MODEL)).toBe(200);
    expect(metrics.value('vllm:prompt_tokens_cached_total', MODEL)).toBe(98);
    const bySource = (source: string) => metrics.value('vllm:prompt_tokens_by_source_total', { ...MODEL, source });
    expect([bySource('local_compute'), bySource('local_cache_hit')]).toEqual([102, 98]);
  });
});

describe('how a request ended', () => {
  const finished = async (reason: string) =>
    (await read()).value('vllm:request_success_total', { ...MODEL, finished_reason: reason });
  const failures = async (outcome: string) =>
    (await read()).value('slipway_request_failures_total', { model_name: 'synthetic', outcome });

  it('is there as 0 before the first request, so that a rate sees it', async () => {
    service = await startTestService({});
    for (const reason of ['stop', 'length', 'abort', 'error']) expect(await finished(reason)).toBe(0);
    for (const outcome of ['failed', 'timeout', 'refused', 'cancelled']) expect(await failures(outcome)).toBe(0);
    expect((await read()).value('vllm:time_to_first_token_seconds_count', MODEL)).toBe(0);
  });

  it('by its length, or by a stop string', async () => {
    service = await startTestService({});
    const { body } = await service.generate({ prompt: 'a', max_new_tokens: 8, ignore_eos: true, seed: 1 });
    await service.generate({ prompt: 'a', max_new_tokens: 8, ignore_eos: true, seed: 1, stop: body.text.slice(-2) });
    expect([await finished('length'), await finished('stop')]).toEqual([1, 1]);
  });

  it('by its deadline: an error, with its latency counted', async () => {
    service = await startTestService({ decodeDelay: 50, config: { timeoutSeconds: 1 } });
    expect((await service.generate({ prompt: 'a', max_new_tokens: 500, ignore_eos: true })).status).toBe(504);
    expect([await finished('error'), await failures('timeout')]).toEqual([1, 1]);
    expect((await read()).value('vllm:e2e_request_latency_seconds_sum', MODEL)).toBeGreaterThan(0.9);
  });

  it('by its client leaving: an abort, whose latency says nothing', async () => {
    service = await startTestService({ decodeDelay: 20 });
    const client = await post(service.url, '/generate', { prompt: 'a', max_new_tokens: 400, ignore_eos: true });
    await eventuallyReads('vllm:num_requests_running', MODEL, 1);
    client.socket.destroy();
    await eventuallyReads('vllm:request_success_total', { ...MODEL, finished_reason: 'abort' }, 1);
    expect(await failures('cancelled')).toBe(1);
    expect((await read()).value('vllm:e2e_request_latency_seconds_count', MODEL)).toBe(0);
    expect((await read()).value('vllm:num_requests_running', MODEL)).toBe(0);
  });

  it('by the queue being full: it never began, and only our own count has it', async () => {
    service = await startTestService({ decodeDelay: 20, config: { occupancySemaphore: 1, queueLimit: 0 } });
    const running = service.generate({ prompt: 'a', max_new_tokens: 30, ignore_eos: true });
    await eventuallyReads('vllm:num_requests_running', MODEL, 1);
    expect((await service.generate({ prompt: 'a' })).status).toBe(503);
    expect([await failures('refused'), await finished('error'), await finished('abort')]).toEqual([1, 0, 0]);
    await running;
  });
});

describe('HTTP', () => {
  it('is counted by route and class of status, never by what a client makes up', async () => {
    service = await startTestService({});
    for (let index = 0; index < 20; index++) {
      await fetch(`${service.url}/made-up-${index}?q=${index}`, { method: index % 2 === 0 ? 'GET' : 'PROPFIND' });
    }
    await service.generate({ prompt: 'a', max_new_tokens: 1 });
    await service.generate({ prompt: 3 });
    const unknown = { handler: 'none', method: 'other', status: '4xx' };
    await eventuallyReads('http_requests_total', unknown, 10);
    await eventuallyReads('http_requests_total', { handler: '/generate', method: 'POST', status: '4xx' }, 1);
    const metrics = await read();
    expect(metrics.value('http_requests_total', { handler: '/generate', method: 'POST', status: '2xx' })).toBe(1);
    expect(metrics.value('slipway_http_errors_total', { handler: '/generate', code: 'invalid_field' })).toBe(1);
    expect(metrics.value('slipway_http_errors_total', { handler: 'none', code: 'not_found' })).toBe(20);
    expect(metrics.find('http_requests_total').map(({ labels }) => labels.handler)).not.toContain('/made-up-1');
  });

  it('counts those who are over their limit by their code', async () => {
    service = await startTestService({ config: { rateLimitRpm: 1 } });
    const statuses = [];
    for (let index = 0; index < 3; index++) {
      statuses.push((await service.generate({ prompt: 'a', max_new_tokens: 1 })).status);
    }
    expect(statuses).toContain(429);
    const refused = statuses.filter((status) => status === 429).length;
    await eventuallyReads('slipway_http_errors_total', { handler: '/generate', code: 'rate_limited' }, refused);
  });

  it('counts a stream to its last byte, and an error in it by its code', async () => {
    service = await startTestService({ decodeDelay: 20, config: { timeoutSeconds: 1 } });
    await (await service.stream({ prompt: 'a', max_new_tokens: 500, ignore_eos: true })).text();
    await eventuallyReads('slipway_http_errors_total', { handler: '/generate', code: 'timeout' }, 1);
    const seconds = (await read()).value('http_request_duration_seconds_sum', { handler: '/generate', method: 'POST' });
    expect(seconds).toBeGreaterThan(0.9);
  });
});

describe('the model and its engine', () => {
  it('are described, with the memory of the process', async () => {
    service = await startTestService({});
    const metrics = await read();
    expect(metrics.value('slipway_model_info', { model_name: 'synthetic', layout: 'synthetic' })).toBe(1);
    expect(metrics.value('slipway_ready')).toBe(1);
    expect(metrics.value('slipway_build_info', { node: process.version })).toBe(1);
    expect(metrics.value('slipway_engine_restarts_total', MODEL)).toBe(0);
    expect(metrics.value('vllm:engine_sleep_state', { ...MODEL, sleep_state: 'awake' })).toBe(1);
    if (process.platform === 'linux') {
      expect(metrics.value('slipway_engine_memory_bytes', MODEL)).toBeGreaterThan(10 * 2 ** 20);
    }
  });

  it('tell of steps and guesses', async () => {
    service = await startTestService({});
    // What repeats can be guessed.
    await service.generate({ prompt: 'abcabcabc'.repeat(20), max_new_tokens: 200, ignore_eos: true, temperature: 0 });
    const metrics = await read();
    const value = (name: string) => metrics.value(`vllm:${name}`, MODEL) ?? Number.NaN;
    expect(value('iteration_tokens_total_sum')).toBeGreaterThanOrEqual(180 + 199);
    expect(value('iteration_tokens_total_count')).toBeGreaterThan(1);
    expect(value('spec_decode_num_drafts_total')).toBeGreaterThanOrEqual(0);
    expect(value('spec_decode_num_draft_tokens_total')).toBeGreaterThanOrEqual(
      value('spec_decode_num_accepted_tokens_total'),
    );
  });

  it('say how often the engine was started again', async () => {
    service = await startTestService({ restartPause: 10 });
    const state = service.engine.state();
    if (state.kind === 'ready') process.kill(state.pid, 'SIGKILL');
    await eventuallyReads('slipway_engine_restarts_total', MODEL, 1);
    expect((await service.generate({ prompt: 'a', max_new_tokens: 1 })).status).toBe(200);
  });
});
