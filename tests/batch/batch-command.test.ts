/** `slipway batch` as a user runs it: against a service and with an engine of its own, killed and gone on with. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestService, type TestService } from '../service/testing/test-service.ts';

const ROOT = resolve(import.meta.dirname, '..', '..');
const BUNDLED = join(ROOT, 'models');
const hasModel = existsSync(join(BUNDLED, 'manifests'));

let service: TestService;
let folder: string;
beforeAll(async () => {
  service = await startTestService({
    slots: 16,
    decodeDelay: 1,
    chatTemplate: '{%- for m in messages -%}{{ m.content }}{%- endfor -%}',
    config: { apiKey: 'key' },
  });
});
afterAll(() => service.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-batch-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const input = () => join(folder, 'in.jsonl');
const output = () => join(folder, 'out.jsonl');

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[], limitKilobytes?: number): { child: ChildProcess; ended: Promise<Ended> } {
  const command = [process.execPath, join(ROOT, 'cli/main.ts'), 'batch', input(), output(), ...args];
  const limit = limitKilobytes === undefined ? [] : ['prlimit', `--fsize=${limitKilobytes * 1024}`];
  const [program = '', ...rest] = [...limit, ...command];
  const child = spawn(program, rest, { cwd: folder, env: { PATH: process.env.PATH, API_KEY: 'key' } });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = once(child, 'close').then(([code]) => ({ code, stdout, stderr }));
  return { child, ended };
}

const run = (...args: string[]) => start(['--url', service.url, ...args]).ended;

interface Result {
  readonly custom_id: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape, right and wrong.
  readonly response: { readonly status_code: number; readonly body: any } | null;
  readonly error: { readonly code: string; readonly message: string; readonly line: number } | null;
}

const results = (): Result[] =>
  readFileSync(output(), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

function writeLines(count: number, more: object = {}): void {
  const lines = Array.from({ length: count }, (_, index) =>
    JSON.stringify({ custom_id: `c${index}`, prompt: `line ${index}`, max_new_tokens: 3 + (index % 20), ...more }),
  );
  writeFileSync(input(), `${lines.join('\n')}\n`);
}

function expectEachOnceInOrder(count: number): void {
  expect(results().map(({ custom_id }) => custom_id)).toEqual(Array.from({ length: count }, (_, index) => `c${index}`));
}

describe('a file of requests', () => {
  it('is answered line by line, in order, whatever the lines are like', async () => {
    const chat = { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 2 };
    const lines = [
      '\ufeff{"prompt": "a", "custom_id": "first", "max_new_tokens": 5, "ignore_eos": true}\r',
      '',
      '{broken',
      '"a prompt"',
      '[1]',
      JSON.stringify(chat),
      JSON.stringify({ custom_id: 'openai', method: 'POST', url: '/v1/chat/completions', body: chat }),
      JSON.stringify({ custom_id: 'first', url: '/generate', body: { prompt: 'x' } }),
      JSON.stringify({ custom_id: 'elsewhere', method: 'POST', url: '/v1/models', body: {} }),
      JSON.stringify({ url: '/generate', body: { prompt: 'x' } }),
      JSON.stringify({ prompt: 'x', model: 'gpt-none' }),
      JSON.stringify({ prompt: 'x', temperature: 'hot' }),
      JSON.stringify({ prompt: 'x', stream: true }),
      'null',
    ];
    writeFileSync(input(), lines.join('\n'));
    const { code, stdout } = await run();
    expect(code).toBe(1);
    expect(stdout).toContain('13 lines, of which 9 failed');
    const shown = results().map(({ custom_id, response, error }) => [
      custom_id,
      response?.status_code ?? null,
      error === null ? null : [error.code, error.line],
    ]);
    expect(shown).toEqual([
      ['first', 200, null],
      [null, null, ['invalid_json_line', 3]],
      [null, 200, null],
      [null, null, ['invalid_json_line', 5]],
      [null, 200, null],
      ['openai', 200, null],
      ['first', null, ['duplicate_custom_id', 8]],
      ['elsewhere', null, ['invalid_url', 9]],
      [null, null, ['missing_required_parameter', 10]],
      [null, 404, null],
      [null, 422, null],
      [null, null, ['invalid_request', 13]],
      [null, null, ['invalid_json_line', 14]],
    ]);
    expect(results()[0]?.response?.body.usage.completion_tokens).toBe(5);
    expect(results()[5]?.response?.body.object).toBe('chat.completion');
    expect(results()[1]?.error?.message).toMatch(/^line 3: this line is not valid JSON/);
    expect(readdirSync(folder).sort()).toEqual(['in.jsonl', 'out.jsonl']);
  });

  it('may be texts, with settings for all of them', async () => {
    writeFileSync(input(), 'one\n"two"\n');
    const options = ['--text', '--max-new-tokens', '4', '--temperature', '0', '--seed', '7', '--json'];
    const { code, stdout } = await run(...options);
    expect(code).toBe(0);
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ lines: 2, failed: 0, resumed: 0 });
    for (const [index, prompt] of ['one', '"two"'].entries()) {
      const body = JSON.stringify({ prompt, max_new_tokens: 4, temperature: 0, seed: 7 });
      const alone = await fetch(`${service.url}/generate`, { method: 'POST', headers: { 'x-api-key': 'key' }, body });
      expect(results()[index]?.response?.body.text).toBe(Object(await alone.json()).text);
    }
  });

  it('may be empty, and failures may be allowed', async () => {
    writeFileSync(input(), '');
    expect((await run()).code).toBe(0);
    expect(readFileSync(output(), 'utf8')).toBe('');
    writeFileSync(input(), '{');
    expect((await run('--restart', '--allow-failures')).code).toBe(0);
    expect(results()).toHaveLength(1);
  });

  it('is refused where an answer would be lost or belong to something else', async () => {
    const missing = await run();
    expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining(`${input()} does not exist`)]);
    writeLines(3);
    writeFileSync(output(), 'mine\n');
    const taken = await run();
    expect(taken.code).toBe(2);
    expect(taken.stderr).toMatch(/out\.jsonl exists already; .*--restart/);
    expect(readFileSync(output(), 'utf8')).toBe('mine\n');
    expect(await run('--at-once', '0')).toMatchObject({ code: 2 });
    rmSync(output());
    const { code, stderr } = await start(['--url', 'http://127.0.0.1:9']).ended;
    expect([code, stderr]).toEqual([2, expect.stringContaining('no service answers at http://127.0.0.1:9')]);
    expect(existsSync(output())).toBe(false);
  });

  it('of a hundred thousand lines that are all wrong is answered, too', { timeout: 120_000 }, async () => {
    writeFileSync(input(), 'nothing\n'.repeat(100_000));
    expect((await run('--allow-failures')).code).toBe(0);
    const all = results();
    expect(all).toHaveLength(100_000);
    expect(all[99_999]?.error?.line).toBe(100_000);
  });
});

describe('a run that ended early', () => {
  async function killSoon(signal: NodeJS.Signals, args: readonly string[]): Promise<Ended> {
    const { child, ended } = start(args);
    const answered = () => (existsSync(`${output()}.partial`) ? readFileSync(`${output()}.partial`).length : 0);
    const before = answered();
    while (child.exitCode === null && answered() <= before) await new Promise((next) => setTimeout(next, 5));
    await new Promise((next) => setTimeout(next, Math.random() * 200));
    child.kill(signal);
    return ended;
  }

  it('by kill -9, again and again, is gone on with: every line once, in order', { timeout: 180_000 }, async () => {
    const count = 1500;
    writeLines(count, { ignore_eos: true });
    const args = ['--url', service.url];
    let rounds = 0;
    for (; rounds < 4; rounds++) {
      await killSoon('SIGKILL', args);
      if (existsSync(output())) break;
      // As if the last write had been cut in two.
      if (rounds === 1) appendFileSync(`${output()}.partial`, '{"id": "batch_req_0", "cust');
    }
    expect(rounds).toBeGreaterThan(1);
    const { code, stdout } = await run('--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '').resumed).toBeGreaterThan(0);
    expectEachOnceInOrder(count);
    expect(readdirSync(folder).sort()).toEqual(['in.jsonl', 'out.jsonl']);
  });

  it('by Ctrl-C says so, and is refused when the input has changed since', { timeout: 60_000 }, async () => {
    writeLines(2000, { ignore_eos: true });
    const { code, stderr } = await killSoon('SIGINT', ['--url', service.url]);
    expect(code).toBe(130);
    expect(stderr).toContain('out.jsonl.partial is kept; the same command goes on from there');
    appendFileSync(input(), '"one more"\n');
    const changed = await run();
    expect(changed.code).toBe(2);
    expect(changed.stderr).toMatch(/in\.jsonl has changed since .* was begun; --restart begins anew/);
    writeLines(20);
    expect((await run('--restart')).code).toBe(0);
    expectEachOnceInOrder(20);
  });

  it('with other settings is refused, and so is a second process at the same output', { timeout: 60_000 }, async () => {
    writeLines(2000, { ignore_eos: true });
    const first = start(['--url', service.url]);
    while (!existsSync(`${output()}.partial`)) await new Promise((next) => setTimeout(next, 5));
    const second = await run();
    expect([second.code, second.stderr]).toEqual([2, expect.stringContaining('is being written by another process')]);
    first.child.kill('SIGKILL');
    await first.ended;
    const other = await run('--model', 'synthetic@latest');
    expect([other.code, other.stderr]).toEqual([2, expect.stringContaining('was begun with another model')]);
  });

  it('by a full disk says so, leaves no half of a line, and is gone on with', { timeout: 60_000 }, async () => {
    writeLines(400);
    const { code, stderr } = await start(['--url', service.url], 64).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /out\.jsonl\.partial cannot grow: the disk is full \(EFBIG\); free some space and run it again/,
    );
    expect(existsSync(output())).toBe(false);
    const partial = readFileSync(`${output()}.partial`, 'utf8');
    expect(partial.endsWith('\n')).toBe(true);
    expect(partial.length).toBeLessThanOrEqual(64 * 1024);
    expect((await run()).code).toBe(0);
    expectEachOnceInOrder(400);
  });
});

describe.skipIf(!hasModel)('with an engine of its own', () => {
  it('answers with the bundled model, killed on the way', { timeout: 120_000 }, async () => {
    writeLines(400, { temperature: 0 });
    const args = ['--bucket', BUNDLED];
    const { child, ended } = start(args);
    while (!existsSync(`${output()}.partial`)) await new Promise((next) => setTimeout(next, 5));
    await new Promise((next) => setTimeout(next, 300));
    child.kill('SIGKILL');
    await ended;
    const { code, stderr } = await start(args).ended;
    expect([code, stderr]).toEqual([0, 'preparing ...\nanswering ...\n']);
    expectEachOnceInOrder(400);
    expect(results()[0]?.response?.body.model).toBe('shakespeare-gpt2');
    // No service leaves anything of its own behind.
    expect(readdirSync(folder).sort()).toEqual(['in.jsonl', 'out.jsonl']);
  });
});
