/** `slipway doctor` as a process, before set-ups that are in order and set-ups that are not. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

const ROOT = resolve(import.meta.dirname, '..', '..');
const BUNDLED = join(ROOT, 'models');
const scratch = mkdtempSync(join(tmpdir(), 'slipway-doctor-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const Report = z.object({
  ready: z.boolean(),
  findings: z.array(
    z.object({
      check: z.string(),
      verdict: z.enum(['ok', 'advice', 'problem']),
      says: z.string(),
      mend: z.string().optional(),
    }),
  ),
});

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function doctor(args: readonly string[], environment: Record<string, string> = {}): Promise<Ran> {
  const { PATH = '' } = process.env;
  const env = { PATH, PORT: '0', BUCKET_URL: BUNDLED, HOST: '127.0.0.1', DATA_FOLDER: scratch, ...environment };
  return new Promise((settle) => {
    const all = [join(ROOT, 'cli', 'main.ts'), 'doctor', ...args];
    execFile(process.execPath, all, { cwd: scratch, env }, (error, stdout, stderr) => {
      settle({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

async function finding(check: string, environment: Record<string, string>, args: readonly string[] = []) {
  const { code, stdout } = await doctor(['--json', ...args], environment);
  const report = Report.parse(JSON.parse(stdout));
  expect(report.ready).toBe(code === 0);
  return { code, ...report.findings.find((each) => each.check === check) };
}

describe('a set-up in order', () => {
  it('is said to be, with exit code 0, and every check by its name', async () => {
    const { code, stdout } = await doctor(['--grace', '75'], { API_KEY: 'x'.repeat(32) });
    expect(stdout).toContain('Nothing stands in the way.');
    expect(stdout).toContain('shakespeare-gpt2@v001 is whole, opens and computes on onnxruntime');
    for (const check of ['Node.js', 'processor', 'threads', 'port', 'keys', 'disk', 'draining', 'model', 'memory']) {
      expect(stdout).toMatch(new RegExp(`^(ok|advice) +${check}`, 'm'));
    }
    expect(code).toBe(0);
  });
});

describe('a set-up with problems', () => {
  it('a port that is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    expect(await finding('port', { PORT: String(port) })).toMatchObject({
      code: 1,
      verdict: 'problem',
      says: `127.0.0.1:${port} is taken by another process`,
      mend: expect.stringContaining('set PORT'),
    });
    server.close();
  });

  it('a model that is not in the bucket', async () => {
    expect(await finding('model', { MODEL: 'nothing' })).toMatchObject({
      code: 1,
      verdict: 'problem',
      says: expect.stringContaining('"nothing"'),
      mend: expect.stringContaining('slipway models list'),
    });
  });

  it('a bucket that does not answer', async () => {
    const environment = {
      BUCKET_URL: 's3://models?endpoint=http://127.0.0.1:9&region=us-east-1',
      AWS_ACCESS_KEY_ID: 'a',
      AWS_SECRET_ACCESS_KEY: 'b',
    };
    expect(await finding('model', environment)).toMatchObject({
      code: 1,
      verdict: 'problem',
      mend: expect.stringContaining('BUCKET_URL'),
    });
  });

  it('a file that is not what was published', async () => {
    const bucket = join(scratch, 'damaged');
    cpSync(join(BUNDLED, 'blobs'), join(bucket, 'blobs'), { recursive: true });
    cpSync(join(BUNDLED, 'manifests'), join(bucket, 'manifests'), { recursive: true });
    const blobs = readdirSync(join(bucket, 'blobs'), { recursive: true, encoding: 'utf8' });
    const blob = blobs.find((name) => /[0-9a-f]{64}$/.test(name)) ?? '';
    const path = join(bucket, 'blobs', blob);
    chmodSync(path, 0o600);
    writeFileSync(path, 'something else');
    expect(await finding('engine', { BUCKET_URL: bucket })).toMatchObject({
      code: 1,
      verdict: 'problem',
      mend: expect.stringContaining('convert or pull it again'),
    });
  });

  it('a platform that does not wait', async () => {
    expect(await finding('draining', {}, ['--grace', '30'])).toMatchObject({
      code: 1,
      verdict: 'problem',
      mend: expect.stringContaining('65 s'),
    });
    expect(await finding('draining', { RAILWAY_DEPLOYMENT_DRAINING_SECONDS: '10' })).toMatchObject({ code: 1 });
    expect(await finding('draining', { DRAIN_SECONDS: '10' })).toMatchObject({ code: 0, verdict: 'advice' });
  });

  it('keys that others may read, none at all, or unreadable ones', async () => {
    const file = join(scratch, 'keys.yml');
    writeFileSync(file, `keys:\n  - {name: app, sha256: ${'a0'.repeat(32)}, scopes: [infer]}\n`, { mode: 0o600 });
    expect(await finding('keys', { API_KEYS_FILE: file })).toMatchObject({ verdict: 'ok', says: `1 in ${file}` });
    chmodSync(file, 0o644);
    expect(await finding('keys', { API_KEYS_FILE: file })).toMatchObject({
      verdict: 'advice',
      mend: `chmod 600 ${file}`,
    });
    expect(await finding('keys', { API_KEYS_FILE: join(scratch, 'none.yml') })).toMatchObject({ verdict: 'problem' });
    expect(await finding('keys', { HOST: '0.0.0.0' })).toMatchObject({ verdict: 'advice' });
  });

  it('settings that are wrong end with exit code 2 and all of them', async () => {
    const { code, stderr } = await doctor([], { THREADS: '0', SLOTS: 'many' });
    expect(code).toBe(2);
    expect(stderr).toMatch(/THREADS[\s\S]*SLOTS|SLOTS[\s\S]*THREADS/);
  });
});
