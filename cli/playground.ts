/**
 * Has the page at /ui built in the background when a service has started: on a checkout there may be none yet, or one of older sources.
 * Never keeps a service from starting, nor from ending.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './run-tool.ts';

const BUILD = join(ROOT, 'apps', 'playground', 'build.ts');
const LOWEST_PRIORITY = 19;

/** Does nothing where vite is not installed, as in a production image: the page says then what to run. */
export function buildPlayground(): void {
  if (!existsSync(BUILD) || !existsSync(join(ROOT, 'node_modules', 'vite'))) return;
  const child = spawn(process.execPath, [BUILD, '--if-stale'], { stdio: ['ignore', 'ignore', 'pipe'] });
  child.once('error', (error) => complain(error.message));
  if (child.pid !== undefined) setPriority(child.pid, LOWEST_PRIORITY);
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  // Without a code it was ended together with this process.
  child.once('close', (code) => {
    if (code !== null && code !== 0) complain(output.trim());
  });
}

function complain(reason: string): void {
  console.error(`slipway: the playground at /ui could not be built: ${reason}\nTry npm run build -w apps/playground.`);
}
