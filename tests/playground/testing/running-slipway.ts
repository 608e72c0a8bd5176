/**
 * A service process as a user starts it, with the page built, for a browser to look at.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../../..');

export interface RunningSlipway {
  readonly url: string;
  /** Requests that run, as the service counts them. */
  running(): Promise<number>;
  stop(): Promise<void>;
}

/** What a start of the service would do in the background. */
export function buildPage(): void {
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'apps/playground/build.ts'), '--if-stale'], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the page could not be built: ${stderr}`);
}

/** `args`: of the command line. Resolves when the model is loaded. */
export async function startSlipway(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<RunningSlipway> {
  const child = spawn(process.execPath, [join(ROOT, 'cli/main.ts'), ...args, '--host', '127.0.0.1'], {
    env: { ...process.env, LOG_LEVEL: 'info', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const url = await addressOf(child);
  return {
    url,
    async running() {
      const health: unknown = await (await fetch(`${url}/health`)).json();
      return Number(Reflect.get(Object(health), 'running'));
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'close');
    },
  };
}

function addressOf(child: ChildProcess): Promise<string> {
  let output = '';
  return new Promise((found, fail) => {
    const read = (chunk: Buffer) => {
      output += chunk.toString();
      for (const line of output.split('\n')) {
        if (!line.includes('"msg":"ready"')) continue;
        const url = /"url":"([^"]+)"/.exec(line)?.[1];
        if (url !== undefined) found(url);
      }
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('close', (code) => fail(new Error(`the service ended with ${code}: ${output}`)));
  });
}
