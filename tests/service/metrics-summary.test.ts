/** GET /api/v1/metrics says in JSON what was really measured. */
import { afterEach, expect, it } from 'vitest';
import { eventually } from './testing/raw-client.ts';
import { startTestService, type TestService } from './testing/test-service.ts';

let service: TestService;
afterEach(() => service.close());

const summary = async () => (await service.get('/api/v1/metrics')).body;

it('has levels, totals and quantiles that are those of the requests', async () => {
  service = await startTestService({ decodeDelay: 5 });
  const totals: number[] = [];
  for (let index = 0; index < 10; index++) {
    const { body } = await service.generate({ prompt: 'four', max_new_tokens: 5, ignore_eos: true });
    totals.push(body.timings.total_ms / 1000);
  }
  expect((await service.generate({ prompt: 4 })).status).toBe(422);
  totals.sort((a, b) => a - b);
  // HTTP is counted when an answer has been sent, which its client may know earlier.
  await eventually(summary, ({ http }) => http.requests['4xx'] === 1);
  const { models, ...service_wide } = await summary();
  expect(models).toHaveLength(1);
  const [model] = models;
  expect(model).toMatchObject({
    name: 'synthetic',
    version: null,
    running: 0,
    waiting: 0,
    cache_usage: 0,
    engine_restarts: 0,
    requests: { stop: 0, length: 10, abort: 0, error: 0, refused: 0 },
    tokens: { prompt: 40, generated: 50 },
  });
  const latency = model.recent_seconds.e2e_latency;
  expect(latency.count).toBe(10);
  // Its clock stops a little after the answer's own.
  expect(latency.p50 / (totals[4] ?? 0)).toBeCloseTo(1, 1);
  expect(latency.max / (totals[9] ?? 0)).toBeCloseTo(1, 1);
  expect(model.recent_seconds.inter_token_latency.count).toBe(40);
  expect(model.recent_seconds.inter_token_latency.p50).toBeGreaterThan(0.004);
  expect(model.recent_seconds.time_to_first_token.p95).toBeLessThan(latency.p95);
  expect(service_wide).toMatchObject({
    ready: true,
    recent_window_seconds: 300,
    http: { requests: { '4xx': 1 }, errors: { invalid_field: 1 } },
    process: { memory_bytes: expect.any(Number), cpu_seconds: expect.any(Number) },
  });
});

it('says null where nothing was measured, and lists no model while there is none', async () => {
  service = await startTestService({});
  expect((await summary()).models[0].recent_seconds).toEqual({
    time_to_first_token: null,
    inter_token_latency: null,
    time_per_output_token: null,
    queue_time: null,
    e2e_latency: null,
  });
  await service.close();
  service = await startTestService({ state: { kind: 'loading', stage: 'checking the files', progress: 0.25 } });
  expect(await summary()).toMatchObject({ ready: false, models: [] });
});
