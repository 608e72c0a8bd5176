/** Every example, run as its README says, against a service that asks for a key; that in Python is among the clients in Python. */
import { execFile, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type RealService, startRealService } from '../observability/testing/real-service.ts';

const run = promisify(execFile);
const FOLDER = resolve(import.meta.dirname, '..', '..', 'examples');
const KEY = 'a-key-for-the-examples';
const PROMPT = 'ROMEO:';
const curlMissing = spawnSync('curl', ['--version']).status === 0 ? '' : ' (skipped: no curl)';
vi.setConfig({ testTimeout: 120_000 });

let service: RealService;
beforeAll(async () => {
  service = await startRealService({ API_KEY: KEY });
});
afterAll(() => service.stop());

/** What the model says without an example. */
async function answer(tokens: number): Promise<string> {
  const body = { prompt: PROMPT, max_new_tokens: tokens, temperature: 0 };
  const response = await service.generate(body, { authorization: `Bearer ${KEY}` });
  const { text } = (await response.json()) as { text: string };
  expect(text.length).toBeGreaterThan(tokens);
  return text;
}

async function example(program: string, file: string, key = KEY): Promise<string> {
  const { PATH = '' } = process.env;
  const env = { PATH, SLIPWAY_URL: service.url, SLIPWAY_API_KEY: key };
  const { stdout } = await run(program, [join(FOLDER, file), ...(file.endsWith('.sh') ? [] : [PROMPT])], { env });
  return stdout;
}

it.skipIf(curlMissing)(`curl.sh shows an answer, a stream, what is served and an error${curlMissing}`, async () => {
  const answers = await example('sh', 'curl.sh');
  expect(answers).toContain(`"text":${JSON.stringify(await answer(20))}`);
  expect(answers).toContain('event: done');
  expect(answers).toContain('"architecture"');
  expect(answers).toContain('"code":"invalid_field"');
});

it('fetch.ts prints the play as it comes', async () => {
  const told = await example(process.execPath, 'fetch.ts');
  expect(told).toContain(PROMPT + (await answer(40)));
  expect(told).toMatch(/\(40 tokens, [\d.]+ per second\)/);
});

it('fetch.ts says what went wrong', async () => {
  await expect(example(process.execPath, 'fetch.ts', 'wrong')).rejects.toThrow('401');
});

it('openai.ts prints the play as it comes', async () => {
  const told = await example(process.execPath, 'openai.ts');
  expect(told).toMatch(/^shakespeare-gpt2/);
  expect(told).toContain(PROMPT + (await answer(40)));
  expect(told).toContain('(40 tokens)');
});

it('the README names every example', () => {
  const readme = readFileSync(join(FOLDER, 'README.md'), 'utf8');
  for (const file of readdirSync(FOLDER).filter((name) => /\.(sh|ts|py)$/.test(name)))
    expect(readme).toContain(`(${file})`);
});
