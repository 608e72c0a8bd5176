/** The real process: it starts, refuses what it cannot start with, and leaves without losing a request. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { allEvents } from './testing/event-source.ts';
import { eventually } from './testing/raw-client.ts';

const MAIN = fileURLToPath(import.meta.resolve('@slipway/inference/main'));
const BUNDLED = fileURLToPath(new URL('../../models', import.meta.url));
const hasModel = existsSync(join(BUNDLED, 'manifests'));

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

interface Running {
  readonly process: ChildProcess;
  readonly exited: Promise<number | NodeJS.Signals | null>;
  output(): string;
  url(): string;
}

function start(environment: Record<string, string>): Running {
  const { PATH = '' } = process.env;
  // An empty directory, so that no config.yml and no bucket of a developer has a say.
  const cwd = mkdtempSync(join(tmpdir(), 'slipway-main-'));
  // In a process group of its own, as a terminal would start it.
  const env = { PATH, PORT: '0', HOST: '127.0.0.1', ...environment };
  const started = spawn(process.execPath, [MAIN], { cwd, env, detached: true });
  children.push(started);
  let output = '';
  started.stdout.on('data', (chunk) => {
    output += chunk;
  });
  started.stderr.on('data', (chunk) => {
    output += chunk;
  });
  const exited = once(started, 'close').then(([code, signal]) => code ?? signal);
  return { process: started, exited, output: () => output, url: () => /"url":"([^"]+)"/.exec(output)?.[1] ?? '' };
}

async function startReady(environment: Record<string, string> = {}): Promise<Running> {
  const running = start(environment);
  await eventually(running.output, (output) => output.includes('"msg":"ready"'), 45_000);
  return running;
}

const generate = (url: string, body: object) =>
  fetch(`${url}/generate`, { method: 'POST', body: JSON.stringify({ ignore_eos: true, ...body }) });

/** The process id of the engine that a service has started. */
function engineOf(service: number): number {
  const children = readFileSync(`/proc/${service}/task/${service}/children`, 'utf8').split(' ').filter(Boolean);
  expect(children).toHaveLength(1);
  return Number(children[0]);
}

describe('starting', () => {
  it('says all that is wrong with its settings and exits 2', async () => {
    const config = join(mkdtempSync(join(tmpdir(), 'slipway-config-')), 'config.yml');
    writeFileSync(config, 'GENERATION: {MAX_TOKENS: 1}');
    const { exited, output } = start({ PORT: 'many', THREADS: '0', CONFIG: config });
    expect(await exited).toBe(2);
    expect(output()).toMatch(/3 problems/);
    for (const name of ['PORT', 'THREADS', 'GENERATION.MAX_TOKENS']) expect(output()).toContain(name);
    expect(output()).not.toContain('    at ');
  });

  it('names a model that is not in the bucket, and exits 2', async () => {
    const { exited, output } = start({ MODEL: 'missing', BUCKET_URL: join(tmpdir(), 'slipway-no-such-bucket') });
    expect(await exited).toBe(2);
    expect(output()).toMatch(/missing.*is not in .*slipway-no-such-bucket/);
  });
});

describe.skipIf(!hasModel)('the bundled model', () => {
  it('answers, and its key never shows in a log', async () => {
    const running = await startReady({ API_KEY: 'very-secret-key', LOG_LEVEL: 'trace' });
    const response = await fetch(`${running.url()}/generate`, {
      method: 'POST',
      body: JSON.stringify({ prompt: 'Once upon a time', max_new_tokens: 8, temperature: 0 }),
      headers: { authorization: 'Bearer very-secret-key' },
    });
    expect(response.status).toBe(200);
    running.process.kill('SIGTERM');
    expect(await running.exited).toBe(0);
    expect(running.output()).not.toContain('very-secret-key');
    expect(running.output()).toContain('"request_id"');
  });

  it('on SIGTERM under load finishes what it has begun, takes nothing new, loses nothing and exits 0', async () => {
    const running = await startReady({ OCCUPANCY_SEMAPHORE: '2' });
    const url = running.url();
    const work = { prompt: 'Once', max_new_tokens: 400, num_return_sequences: 2 };
    const streams = Array.from({ length: 4 }, () => generate(url, { ...work, stream: true }));
    const answers = Array.from({ length: 8 }, () => generate(url, work));
    const health = async () => (await (await fetch(`${url}/health`)).json()) as { running: number; waiting: number };
    await eventually(health, ({ running, waiting }) => running + waiting === 12);

    running.process.kill('SIGTERM');
    await eventually(
      async () => (await fetch(`${url}/readyz`)).status,
      (status) => status === 503,
    );
    const late = await generate(url, { prompt: 'late' });
    expect(late.status).toBe(503);
    expect(await late.json()).toMatchObject({ error: { code: 'draining' } });

    for (const answer of answers) {
      const response = await answer;
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ usage: { completion_tokens: 800 } });
    }
    for (const stream of streams) {
      const events = await allEvents(await stream);
      expect(events.at(-1)).toMatchObject({ event: 'done', data: { usage: { completion_tokens: 800 } } });
    }
    expect(await running.exited).toBe(0);
  });

  it('on SIGTERM while the model loads leaves without a complaint', async () => {
    const running = start({});
    await eventually(running.output, (output) => output.includes('"msg":"listening"'), 45_000);
    running.process.kill('SIGTERM');
    expect(await running.exited).toBe(0);
    expect(running.output()).not.toContain('slipway-inference:');
  });

  it('on Ctrl-C, which the engine gets as well, finishes a stream and exits 0', async () => {
    const running = await startReady();
    const stream = await generate(running.url(), { prompt: 'Once', max_new_tokens: 400, stream: true });
    process.kill(-(running.process.pid ?? 0), 'SIGINT');
    expect((await allEvents(stream)).at(-1)).toMatchObject({
      event: 'done',
      data: { usage: { completion_tokens: 400 } },
    });
    expect(await running.exited).toBe(0);
  });

  it('on a second signal leaves at once', async () => {
    const running = await startReady({});
    const request = generate(running.url(), { prompt: 'Once', max_new_tokens: 500, num_return_sequences: 10 }).catch(
      () => 'cut',
    );
    await eventually(
      async () => ((await (await fetch(`${running.url()}/health`)).json()) as { running: number }).running,
      (count) => count === 1,
    );
    running.process.kill('SIGTERM');
    await eventually(running.output, (output) => output.includes('draining'));
    running.process.kill('SIGTERM');
    expect(await running.exited).toBe(143);
    expect(await request).toBe('cut');
  });

  it('killed in the midst of its work leaves nothing that keeps the next one from starting, nor a process', async () => {
    const bucket = join(mkdtempSync(join(tmpdir(), 'slipway-killed-')), 'bucket');
    // Without the marks of those who use it now.
    cpSync(BUNDLED, bucket, { recursive: true, filter: (path) => !/\.uses./.test(path) });
    const files = () => readdirSync(bucket, { recursive: true }).map(String).sort();
    const before = files();
    const asked = { prompt: 'Once upon a time', max_new_tokens: 30, temperature: 0 };
    const textOf = async (url: string) => ((await (await generate(url, asked)).json()) as { text: string }).text;
    let expected: string | undefined;
    let port = '0';
    for (let round = 0; round < 3; round++) {
      const running = await startReady({ BUCKET_URL: bucket, MODEL: 'shakespeare-gpt2', PORT: port });
      port = new URL(running.url()).port;
      const text = await textOf(running.url());
      expected ??= text;
      expect(text).toBe(expected);
      const engine = engineOf(running.process.pid ?? 0);
      const cut = Array.from({ length: 4 }, () =>
        generate(running.url(), { ...asked, max_new_tokens: 500, num_return_sequences: 10, stream: true })
          .then((response) => response.text())
          .then(
            () => 'whole',
            () => 'cut',
          ),
      );
      await eventually(
        async () => ((await (await fetch(`${running.url()}/health`)).json()) as { running: number }).running,
        (count) => count > 0,
      );
      running.process.kill('SIGKILL');
      expect(await running.exited).toBe('SIGKILL');
      expect(await Promise.all(cut)).toContain('cut');
      await eventually(
        () => existsSync(`/proc/${engine}`),
        (isThere) => !isThere,
        20_000,
      );
    }
    const last = await startReady({ BUCKET_URL: bucket, MODEL: 'shakespeare-gpt2', PORT: port });
    expect(await textOf(last.url())).toBe(expected);
    last.process.kill('SIGTERM');
    expect(await last.exited).toBe(0);
    expect(files()).toEqual(before);
  });

  it('says so when its port is taken', async () => {
    const first = await startReady({});
    const { port } = new URL(first.url());
    const second = start({ PORT: port });
    expect(await second.exited).toBe(2);
    expect(second.output()).toMatch(new RegExp(`port ${port} on 127.0.0.1 is already in use; choose another`));
  });
});
