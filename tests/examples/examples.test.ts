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
const PROMPT = 'Once upon a time';
const STORY = `${PROMPT}, there was a little girl named Lily. She loved to play outside in the park.`;
const curlMissing = spawnSync('curl', ['--version']).status === 0 ? '' : ' (skipped: no curl)';
vi.setConfig({ testTimeout: 120_000 });

let service: RealService;
beforeAll(async () => {
  service = await startRealService({ API_KEY: KEY });
});
afterAll(() => service.stop());

async function example(program: string, file: string, key = KEY): Promise<string> {
  const { PATH = '' } = process.env;
  const env = { PATH, SLIPWAY_URL: service.url, SLIPWAY_API_KEY: key };
  const { stdout } = await run(program, [join(FOLDER, file), ...(file.endsWith('.sh') ? [] : [PROMPT])], { env });
  return stdout;
}

it.skipIf(curlMissing)(`curl.sh shows an answer, a stream, what is served and an error${curlMissing}`, async () => {
  const answers = await example('sh', 'curl.sh');
  expect(answers).toContain('"text":", there was a little girl named Lily.');
  expect(answers).toContain('event: done');
  expect(answers).toContain('"architecture"');
  expect(answers).toContain('"code":"invalid_field"');
});

it('fetch.ts prints the story as it comes', async () => {
  const told = await example(process.execPath, 'fetch.ts');
  expect(told).toContain(STORY);
  expect(told).toMatch(/\(40 tokens, [\d.]+ per second\)/);
});

it('fetch.ts says what went wrong', async () => {
  await expect(example(process.execPath, 'fetch.ts', 'wrong')).rejects.toThrow('401');
});

it('openai.ts prints the story as it comes', async () => {
  const told = await example(process.execPath, 'openai.ts');
  expect(told).toMatch(/^stories260K/);
  expect(told).toContain(STORY);
  expect(told).toContain('(40 tokens)');
});

it('the README names every example', () => {
  const readme = readFileSync(join(FOLDER, 'README.md'), 'utf8');
  for (const file of readdirSync(FOLDER).filter((name) => /\.(sh|ts|py)$/.test(name)))
    expect(readme).toContain(`(${file})`);
});
