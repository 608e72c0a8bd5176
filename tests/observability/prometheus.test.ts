/** A real Prometheus reads the real service, and answers what vLLM's dashboards and our own ask of it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { startTestService, type TestService } from '../service/testing/test-service.ts';
import { hasPrometheus, JOB, type Prometheus, promtool, startPrometheus } from './testing/prometheus.ts';
import { askInEveryWay, type RealService, startRealService } from './testing/real-service.ts';
import { VLLM_QUERIES } from './testing/vllm-queries.ts';

const DEPLOY = resolve(import.meta.dirname, '..', '..', 'deploy');
/** Rates need several scrapes, and the machine may be busy. */
const PATIENCE = 60_000;
vi.setConfig({ testTimeout: 2 * PATIENCE, hookTimeout: 2 * PATIENCE });

const Dashboard = z.object({
  panels: z.array(z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })).optional() })),
});

function dashboardQueries(file: string): [string, string][] {
  const { panels } = Dashboard.parse(JSON.parse(readFileSync(join(DEPLOY, 'grafana', file), 'utf8')));
  return panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }): [string, string] => [title, expr]));
}

describe.skipIf(!hasPrometheus)('with prometheus and promtool installed', () => {
  let service: RealService;
  /** Its text can be guessed; the bundled model, which has a float cache, guesses nothing. */
  let guessing: TestService;
  let prometheus: Prometheus;
  let stopped = false;
  let load: Promise<unknown>;

  beforeAll(async () => {
    service = await startRealService();
    guessing = await startTestService({ period: 7, decodeDelay: 2 });
    prometheus = await startPrometheus([service.url, guessing.url]);
    const keepAsking = async (ask: () => Promise<unknown>) => {
      while (!stopped) await ask();
    };
    const repeating = { prompt: 'abcdefg'.repeat(9), max_new_tokens: 200, ignore_eos: true, temperature: 0 };
    load = Promise.all([keepAsking(() => askInEveryWay(service)), keepAsking(() => guessing.generate(repeating))]);
    // Told by afterAll; until then a failure shows as data that does not come.
    load.catch(() => {});
  });
  afterAll(async () => {
    stopped = true;
    await load;
    await prometheus.stop();
    await guessing.close();
    await service.stop();
  });

  /** As Grafana does with everything selected; one model where it asks for one. */
  const filledIn = (expression: string) => {
    const variables: Record<string, string> = {
      __rate_interval: '30s',
      __range: '1m',
      job: JOB,
      instance: [service.url, guessing.url].map((url) => new URL(url).host).join('|'),
      model_name: expression.includes('=~"$model_name"') ? 'shakespeare-gpt2|synthetic' : 'shakespeare-gpt2',
      model: 'shakespeare-gpt2|synthetic',
      engine: '0',
      ttft_slo: '1.0',
      tpot_slo: '0.1',
    };
    return expression.replaceAll(/\$(\w+)/g, (_, name: string) => {
      const value = variables[name];
      if (value === undefined) throw new Error(`the dashboard has a variable ${name} that is not known here`);
      return value;
    });
  };
  const hasData = async (expression: string) =>
    (await prometheus.query(filledIn(expression))).some((value) => Number.isFinite(value));

  /** Rejects with the queries that never had data. */
  async function allHaveData(expressions: readonly string[]): Promise<void> {
    const end = performance.now() + PATIENCE;
    let without = [...expressions];
    while (without.length > 0) {
      const answers = await Promise.all(without.map(hasData));
      without = without.filter((_, index) => !answers[index]);
      if (performance.now() > end) break;
      await new Promise((wait) => setTimeout(wait, 200));
    }
    expect(without).toEqual([]);
  }

  it('the service is scraped', () => allHaveData([`up{job="${JOB}"} == 1`]));

  it.each(Object.entries(VLLM_QUERIES))("vLLM's %s shows data in every panel", (_, queries) => allHaveData(queries));

  it.each(readdirSync(join(DEPLOY, 'grafana')))('our %s shows data in every panel', async (file) => {
    const queries = dashboardQueries(file);
    expect(queries.length).toBeGreaterThan(40);
    await allHaveData(queries.map(([, expression]) => expression));
  });

  it('a query that is wrong would be seen', async () => {
    expect(await hasData('vllm:no_such_metric{model_name="$model"}')).toBe(false);
    await expect(prometheus.query('sum(')).rejects.toThrow('parse error');
  });

  it("promtool has nothing to say of the metrics but that vLLM's and Node's names are not its own", async () => {
    const text = await (await fetch(`${service.url}/metrics`)).text();
    const { output, exitCode } = promtool(['check', 'metrics'], text);
    // 3: read without an error, and with remarks.
    expect(exitCode).toBe(3);
    const remarks = output.split('\n').filter((line) => line !== '');
    expect(remarks.filter((line) => !/^(vllm:|nodejs_active_\w+_total )/.test(line))).toEqual([]);
    expect(remarks.some((line) => line.includes('help text'))).toBe(false);
  });

  it('the alerts are valid, and fire in their cases', () => {
    const folder = join(DEPLOY, 'prometheus');
    expect(promtool(['check', 'rules', join(folder, 'alerts.yml')])).toMatchObject({ exitCode: 0 });
    const tested = promtool(['test', 'rules', join(folder, 'alerts.test.yml')]);
    expect(tested).toMatchObject({ exitCode: 0, output: expect.stringContaining('SUCCESS') });
    const names = (file: string, pattern: RegExp) =>
      new Set([...readFileSync(join(folder, file), 'utf8').matchAll(pattern)].map(([, name]) => name));
    expect(names('alerts.test.yml', /alertname: (\w+)/g)).toEqual(names('alerts.yml', /- alert: (\w+)/g));
  });

  it('every alert asks for series that the service has', async () => {
    const text = readFileSync(join(DEPLOY, 'prometheus', 'alerts.yml'), 'utf8');
    const series = [...new Set(text.match(/\b(vllm:|slipway_|nodejs_)[\w:]+/g))];
    expect(series.length).toBeGreaterThan(6);
    await allHaveData(series);
  });
});
