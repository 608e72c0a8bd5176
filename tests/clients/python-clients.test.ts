/**
 * Clients in Python, unchanged, each against a running service: the openai package, lm-evaluation-harness, and Schemathesis with the
 * description of the API. One environment for all, made of requirements.lock.
 */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { pythonEnvironment } from '../deployment/testing/python-environment.ts';
import { startRealService } from '../observability/testing/real-service.ts';
import { answered, startTestService } from '../service/testing/test-service.ts';
import { newFolders } from '../trainer/testing/test-trainer.ts';
import { startTrainerProcess } from '../trainer/testing/trainer-process.ts';

const run = promisify(execFile);
const HERE = join(import.meta.dirname, 'python');
const STORIES = resolve(HERE, '../../fixtures/stories260K');
const EXAMPLES = resolve(import.meta.dirname, '..', '..', 'examples');
const KEY = 'a-key-for-clients';
const python = await pythonEnvironment('clients', { lock: join(HERE, 'requirements.lock') });
const { missing } = python;
vi.setConfig({ testTimeout: 300_000 });

interface Ran {
  readonly code: number;
  readonly output: string;
}

/** With nothing of this machine's settings, so that no client asks another host. */
async function runPython(args: readonly string[], environment: Record<string, string>, cwd = HERE): Promise<Ran> {
  const env = { PATH: process.env['PATH'] ?? '', HF_HUB_OFFLINE: '1', PYTHONDONTWRITEBYTECODE: '1', ...environment };
  const ran = run(join(python.folder, 'bin', 'python'), args, { env, cwd, maxBuffer: 2 ** 26 });
  return ran.then(
    ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      code: error.code,
      output: error.stdout + error.stderr,
    }),
  );
}

const TEMPLATE = `{%- if tools %}{{ tools | tojson }}<tool_call>{% endif -%}
{%- for m in messages -%}<{{ m.role }}>{{ m.content }}{% for call in m.tool_calls or [] %}{{ call.function.arguments | tojson }}{% endfor %}{%- endfor -%}`;

describe('openai', () => {
  it.skipIf(missing)(`chats, completes, calls tools, parses, fails and tries again${missing}`, async () => {
    const service = await startTestService({
      chatTemplate: TEMPLATE,
      contextLength: 4096,
      decodeDelay: 2,
      config: { apiKey: KEY, maxNewTokens: 900, occupancySemaphore: 1, queueLimit: 0 },
    });
    try {
      const env = { SLIPWAY_URL: service.url, SLIPWAY_API_KEY: KEY };
      const { code, output } = await runPython(
        ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'check_openai.py'],
        env,
      );
      expect(code, output).toBe(0);
      expect(output).toContain('10 passed');
    } finally {
      await service.close();
    }
  });

  it.skipIf(missing)(`examples/openai_client.py prints the story as it comes${missing}`, async () => {
    const service = await startRealService({ API_KEY: KEY, BUCKET_URL: STORIES });
    try {
      const env = { SLIPWAY_URL: service.url, SLIPWAY_API_KEY: KEY };
      const { output } = await runPython([join(EXAMPLES, 'openai_client.py'), 'Once upon a time'], env);
      expect(output).toMatch(/^stories260K/);
      expect(output).toContain(
        'Once upon a time, there was a little girl named Lily. She loved to play outside in the park.',
      );
      expect(output).toContain('(40 tokens)');
    } finally {
      await service.stop();
    }
  });
});

describe('lm-evaluation-harness', () => {
  it.skipIf(missing)(`measures what the service itself says${missing}`, async () => {
    const service = await startRealService({ BUCKET_URL: STORIES });
    const folder = mkdtempSync(join(tmpdir(), 'slipway-lm-eval-'));
    try {
      for (const file of readdirSync(HERE).filter((name) => name.startsWith('stories'))) {
        cpSync(join(HERE, file), join(folder, file));
      }
      const { code, output } = await runPython(
        [
          ...['-m', 'lm_eval', '--model', 'local-completions', '--tasks', 'stories,stories_until'],
          ...['--model_args', `model=stories260K,base_url=${service.url}/v1/completions,max_length=512`],
          ...['--include_path', '.', '--output_path', 'out', '--log_samples', '--seed', '1'],
        ],
        { HF_HOME: join(folder, 'cache') },
        folder,
      );
      expect(code, output).toBe(0);
      const [results = '', choices = '', texts = ''] = outputsIn(join(folder, 'out'));
      const { acc } = choiceMetrics(JSON.parse(results));
      const samples = linesOf(choices);
      const expected = await Promise.all(samples.map(({ doc }) => likelihoods(service.url, doc)));
      expect(samples).toHaveLength(4);
      for (const [index, { filtered_resps, doc }] of samples.entries()) {
        const told = filtered_resps.map(([likelihood]: [string]) => Number(likelihood));
        expect(told).toHaveLength(doc.endings.length);
        for (const [place, value] of told.entries()) expect(value).toBeCloseTo(expected[index]?.[place] ?? 0, 3);
      }
      const right = samples.filter(({ doc }, index) => argMax(expected[index] ?? []) === doc.label);
      expect(acc).toBeCloseTo(right.length / samples.length, 9);
      expect(acc).toBeGreaterThan(0.5);
      for (const { doc, resps } of linesOf(texts)) {
        const prompt = await idsOf(service.url, doc.begin);
        const { text } = await ask(service.url, '/generate', { prompt, max_new_tokens: 24, temperature: 0, stop: '.' });
        expect(resps[0][0]).toBe(text);
      }
    } finally {
      await service.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** The texts of the results, of the samples of `stories` and of those of `stories_until`. */
function outputsIn(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return [/results_.*\.json$/, /samples_stories_\d.*\.jsonl$/, /samples_stories_until_.*\.jsonl$/].map((pattern) => {
    const found = files.find((file) => pattern.test(file));
    if (found === undefined) throw new Error(`nothing matches ${pattern} among ${files.join(', ')}`);
    return readFileSync(join(folder, found), 'utf8');
  });
}

// biome-ignore lint/suspicious/noExplicitAny: another program's files.
function choiceMetrics(results: any): { acc: number } {
  return { acc: results.results.stories['acc,none'] };
}

// biome-ignore lint/suspicious/noExplicitAny: another program's files.
function linesOf(text: string): any[] {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** Log likelihoods of the endings by `/score`, of the same ids: the client sends no token of the beginning of a text. */
async function likelihoods(url: string, doc: { begin: string; endings: string[] }): Promise<number[]> {
  const given = (await idsOf(url, doc.begin)).length;
  return Promise.all(
    doc.endings.map(async (ending) => {
      const [{ tokens }] = (await ask(url, '/score', { text: await idsOf(url, doc.begin + ending) })).results;
      return -tokens.slice(given).reduce((sum: number, { nats }: { nats: number }) => sum + nats, 0);
    }),
  );
}

async function idsOf(url: string, prompt: string): Promise<number[]> {
  return (await ask(url, '/tokenize', { prompt, add_special_tokens: false })).tokens;
}

async function ask(url: string, path: string, body: object) {
  return (await answered(await fetch(url + path, { method: 'POST', body: JSON.stringify(body) }))).body;
}

function argMax(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}

describe('schemathesis', () => {
  /** Asks what the service's own description says it can be asked. */
  const fuzz = (url: string, folder: string, examples: number, excluded: readonly string[]) =>
    runPython(
      [
        ...['-m', 'schemathesis.cli', 'run', `${url}/openapi.json`],
        ...['--checks', 'not_a_server_error,content_type_conformance,response_schema_conformance,unsupported_method'],
        ...['--phases', 'fuzzing', '--max-examples', String(examples), '--seed', '1', '--workers', '2'],
        ...excluded,
      ],
      { HOME: folder },
      folder,
    );

  it.skipIf(missing)(`finds no request that the service fails at${missing}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'slipway-schemathesis-'));
    const short = { MAX_NEW_TOKENS: '8', DEFAULT_MAX_NEW_TOKENS: '4' };
    const service = await startRealService({ ...short, DATA_FOLDER: join(folder, 'data') });
    try {
      const { code, output } = await fuzz(service.url, folder, 30, [
        // These say 501 and 503 by design: there are no embeddings, and nothing has built the page.
        ...['--exclude-path', '/v1/embeddings', '--exclude-path', '/ui'],
        // Without a model everything else says 503 as well.
        ...['--exclude-path-regex', '/models/unload$'],
      ]);
      expect(code, output).toBe(0);
      expect(service.errors()).toBe('');
    } finally {
      await service.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it.skipIf(missing)(`finds no request that the trainer fails at${missing}`, async () => {
    const folders = newFolders();
    const { url, end } = await startTrainerProcess(folders);
    const { code, output } = await fuzz(url, folders.root, 10, []);
    expect(code, output).toBe(0);
    expect(await end('SIGTERM')).toBe(0);
  });
});
