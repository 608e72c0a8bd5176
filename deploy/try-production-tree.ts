/**
 * Starts the service of a production tree as a container does, asks it for a few tokens and ends it. While an image is built this proves
 * that it answers, and leaves the compiled modules behind that make every later start quick. Knows nothing of how the tree was made.
 *
 *     NODE_COMPILE_CACHE=FOLDER/.compile-cache node deploy/try-production-tree.ts FOLDER
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

export interface Trial {
  /** From starting the process until requests are taken. */
  readonly readyMilliseconds: number;
  readonly text: string;
}

const COMPILE_CACHE = '.compile-cache';

/** Rejects with what the service printed when it does not come up, does not answer or does not end well on SIGTERM. */
export async function tryProductionTree(tree: string): Promise<Trial> {
  const { PATH, HOME, SLIPWAY_CACHE_DIR } = process.env;
  const started = performance.now();
  const child = spawn(process.execPath, ['services/inference/main.ts'], {
    cwd: tree,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH,
      HOME,
      ...(SLIPWAY_CACHE_DIR === undefined ? {} : { SLIPWAY_CACHE_DIR }),
      PORT: '0',
      HOST: '127.0.0.1',
      NODE_COMPILE_CACHE: join(tree, COMPILE_CACHE),
    },
  });
  const closed = once(child, 'close');
  const lines: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => lines.push(line));
  const ready = new Promise<{ url: string; at: number }>((settle) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      const url = line.includes('"msg":"ready"') ? /"url":"([^"]+)"/.exec(line)?.[1] : undefined;
      if (url !== undefined) settle({ url, at: performance.now() });
    });
  });
  const failed = closed.then(([code, signal]) => {
    throw new Error(`the service of ${tree} ended with ${code ?? signal} before it was ready:\n${lines.join('\n')}`);
  });
  // Once it is ready its end is awaited below.
  failed.catch(() => {});
  const { url, at } = await Promise.race([ready, failed]);
  const text = await generate(url);
  child.kill('SIGTERM');
  const [code, signal] = await closed;
  if (code !== 0) throw new Error(`the service of ${tree} ended with ${code ?? signal}:\n${lines.join('\n')}`);
  return { readyMilliseconds: at - started, text };
}

async function generate(url: string): Promise<string> {
  const response = await fetch(`${url}/generate`, {
    method: 'POST',
    body: JSON.stringify({ prompt: 'ROMEO:', max_new_tokens: 16, temperature: 0 }),
  });
  if (!response.ok) throw new Error(`POST /generate answered ${response.status}: ${await response.text()}`);
  const { text } = (await response.json()) as { text: string };
  return text;
}

if (import.meta.main) {
  const [tree] = process.argv.slice(2);
  if (tree === undefined) throw new Error('Say which: node deploy/try-production-tree.ts FOLDER');
  const { readyMilliseconds, text } = await tryProductionTree(resolve(tree));
  process.stdout.write(`ready after ${Math.round(readyMilliseconds)} ms; it says: ${JSON.stringify(text)}\n`);
}
