/**
 * The service as a container starts it, a process of its own with the bundled model, and requests of every kind to it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const ROOT = resolve(import.meta.dirname, '..', '..', '..');

export interface RealService {
  readonly url: string;
  readonly child: ChildProcess;
  /** The lines of its log so far. */
  readonly log: readonly Record<string, unknown>[];
  /** What it has written on standard error. */
  errors(): string;
  generate(body: object, headers?: Record<string, string>): Promise<Response>;
  stop(): Promise<void>;
}

/** Resolves when it is ready. */
export async function startRealService(environment: Record<string, string> = {}): Promise<RealService> {
  const child = spawn(process.execPath, [join(ROOT, 'services', 'inference', 'main.ts')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, BUCKET_URL: join(ROOT, 'models'), PORT: '0', HOST: '127.0.0.1', ...environment },
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const log: Record<string, unknown>[] = [];
  const url = await new Promise<string>((ready, fail) => {
    child.once('close', (code) => fail(new Error(`the service ended with ${code}: ${JSON.stringify(log)} ${errors}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const entry: Record<string, unknown> = JSON.parse(line);
      log.push(entry);
      if (entry.msg === 'ready') ready(String(entry.url));
    });
  });
  return {
    url,
    child,
    log,
    errors: () => errors,
    generate: (body, headers = {}) => fetch(`${url}/generate`, { method: 'POST', body: JSON.stringify(body), headers }),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'close');
    },
  };
}

/** One round of what a busy service sees: answers, streams, several outputs, shared prompts, repetition, mistakes. */
export async function askInEveryWay({ url, generate }: RealService): Promise<void> {
  const play = { prompt: 'ROMEO:\nMy lord, I will go to the king, and', max_new_tokens: 24 };
  const responses = await Promise.all([
    generate(play),
    generate({ ...play, num_return_sequences: 2, temperature: 1 }),
    generate({ ...play, stream: true }),
    generate({ ...play, stop: 'e' }),
    generate({ prompt: 3 }),
    fetch(`${url}/nothing`),
  ]);
  for (const response of responses) await response.text();
}
