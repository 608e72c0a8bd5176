/**
 * The real service in a process of its own, started as a user would, and a streaming client of it. Knows no figure.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type SequenceTiming, stopwatch } from './contestant.ts';

export interface HttpService {
  readonly url: string;
  readonly child: ChildProcess;
  stop(): Promise<void>;
}

/** Resolves when it is ready to answer. */
export async function startHttpService(
  model: string,
  settings: { threads: number; requests: number; contextLength: number },
): Promise<HttpService> {
  const port = await freePort();
  const main = join(import.meta.dirname, '..', 'cli', 'main.ts');
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', main, 'serve', model, '--host', '127.0.0.1', '--log-level', 'error'],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        ...process.env,
        PORT: String(port),
        THREADS: String(settings.threads),
        OCCUPANCY_SEMAPHORE: String(settings.requests),
        CONTEXT_LENGTH: String(settings.contextLength),
        TIMEOUT_SECONDS: '600',
      },
    },
  );
  const url = `http://127.0.0.1:${port}`;
  while (!(await isReady(url))) {
    if (child.exitCode !== null) throw new Error(`slipway serve ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return {
    url,
    child,
    stop: async () => {
      const closed = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGTERM');
      await closed;
    },
  };
}

export interface StreamOptions {
  /** Called for each token as it arrives. */
  readonly onToken?: () => void;
  /** The main one unless given. */
  readonly model?: string;
}

/** One streamed generation. */
export async function streamGenerate(
  url: string,
  prompt: readonly number[],
  newTokens: number,
  { onToken, model }: StreamOptions = {},
): Promise<SequenceTiming> {
  const watch = stopwatch(prompt.length);
  const response = await fetch(`${url}/generate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, prompt, max_new_tokens: newTokens, temperature: 0, ignore_eos: true, stream: true }),
  });
  if (!response.ok || !response.body) throw new Error(`${response.status}: ${await response.text()}`);
  let rest = '';
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const events = (rest + text).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      const data = event.split('\n').find((line) => line.startsWith('data: '));
      if (data === undefined) continue;
      const message: { error?: { message: string }; outputs?: { token_ids: number[] }[] } = JSON.parse(data.slice(6));
      if (message.error) throw new Error(message.error.message);
      for (const id of message.outputs?.[0]?.token_ids ?? []) {
        watch.token(id);
        onToken?.();
      }
    }
  }
  const timing = watch.timing();
  if (timing.newTokens !== newTokens) throw new Error(`${timing.newTokens} of ${newTokens} tokens arrived`);
  return timing;
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/readyz`)).ok;
  } catch {
    return false;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
