/** Starts a trainer in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { TrainerConfig } from '@slipway/shared/contracts/trainer-config.ts';
import { onTestFinished } from 'vitest';
import type { Folders } from './test-trainer.ts';

const PROGRAM = fileURLToPath(new URL('./serve.ts', import.meta.url));

export interface TrainerProcess {
  readonly url: string;
  /** Resolves with the exit code once it is gone; null after SIGKILL. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null>;
}

export async function startTrainerProcess(
  folders: Folders,
  {
    config = {},
    kernel = {},
    leaseMilliseconds = 1000,
  }: { config?: Partial<TrainerConfig>; kernel?: Record<string, unknown>; leaseMilliseconds?: number } = {},
): Promise<TrainerProcess> {
  const args = [folders, config, kernel, leaseMilliseconds].map((value) => JSON.stringify(value));
  const child: ChildProcess = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await gone;
  });
  const [said] = child.stdout === null ? [''] : await once(child.stdout, 'data');
  return {
    url: String(said).trim(),
    async end(signal) {
      child.kill(signal);
      const [code] = await gone;
      return code;
    },
  };
}
