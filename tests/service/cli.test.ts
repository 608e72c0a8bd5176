/** `slipway generate` against a running service: what a user sees, and with which exit code. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestService, type TestService } from './testing/test-service.ts';

const MAIN = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const BUNDLED = fileURLToPath(new URL('../../models', import.meta.url));

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ config: { apiKey: 'key' } });
});
afterAll(() => service.close());

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function slipway(
  args: readonly string[],
  environment: Record<string, string> = { API_KEY: 'key' },
  input = '',
): Promise<Ended> {
  const { PATH = '' } = process.env;
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [MAIN, ...args],
      { env: { PATH, ...environment } },
      (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
      },
    );
    child.stdin?.end(input);
  });
}

describe('slipway generate', () => {
  const options = ['--temperature', '0', '--max-new-tokens', '20', '--ignore-eos'];

  it('writes the text of the answer, and nothing else', async () => {
    const response = await fetch(`${service.url}/generate`, {
      method: 'POST',
      headers: { 'x-api-key': 'key' },
      body: JSON.stringify({ prompt: 'Once', temperature: 0, max_new_tokens: 20, ignore_eos: true }),
    });
    const { text } = (await response.json()) as { text: string };
    const expected = { code: 0, stdout: `${text}\n`, stderr: '' };
    expect(await slipway(['generate', '--url', service.url, ...options, 'Once'])).toEqual(expected);
    expect(await slipway(['generate', '--url', service.url, ...options, '-'], { API_KEY: 'key' }, 'Once')).toEqual(
      expected,
    );
  });

  it('passes on what the service says is wrong', async () => {
    const { code, stdout, stderr } = await slipway(['generate', '--url', service.url, '--temperature', '9', 'Once']);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toBe('slipway: temperature must be a number from 0 (greedy) to 2, but is 9\n');
    const { stderr: denied } = await slipway(['generate', '--url', service.url, 'Once'], {});
    expect(denied).toMatch(/an API key is needed/);
  });

  it.skipIf(!existsSync(join(BUNDLED, 'manifests')))(
    'ends at the first Ctrl-C, also while the model loads',
    async () => {
      const bucket = slowBucket();
      const { PATH = '' } = process.env;
      const args = [MAIN, 'generate', '--bucket', bucket, '--model', 'slow', 'Once'];
      const child = spawn(process.execPath, args, { env: { PATH } });
      const ended = once(child, 'exit');
      await new Promise((resolve) => setTimeout(resolve, 3000));
      expect(child.exitCode).toBeNull();
      child.kill('SIGINT');
      const late = setTimeout(() => child.kill('SIGKILL'), 5000);
      expect(await ended).toEqual([130, null]);
      clearTimeout(late);
      rmSync(bucket, { recursive: true });
    },
  );

  it('says that nobody answers, and what to do', async () => {
    const { code, stderr } = await slipway(['generate', '--url', 'http://127.0.0.1:9', 'Once']);
    expect(code).toBe(2);
    expect(stderr).toBe('slipway: no service answers at http://127.0.0.1:9; start one with slipway serve\n');
  });
});

/** The bundled model, but one of its files has 64 GiB of nothing, which take long to hash. */
function slowBucket(): string {
  const bucket = mkdtempSync(join(tmpdir(), 'slipway-slow-'));
  cpSync(join(BUNDLED, 'blobs'), join(bucket, 'blobs'), { recursive: true });
  const manifest = JSON.parse(readFileSync(join(BUNDLED, 'manifests', 'shakespeare-gpt2', 'v001.json'), 'utf8'));
  const [file] = manifest.files;
  file.bytes = 2 ** 36;
  truncateSync(join(bucket, 'blobs', 'sha256', file.sha256.slice(0, 2), file.sha256), file.bytes);
  mkdirSync(join(bucket, 'manifests', 'slow'), { recursive: true });
  writeFileSync(join(bucket, 'manifests', 'slow', 'v001.json'), JSON.stringify({ ...manifest, name: 'slow' }));
  return bucket;
}
