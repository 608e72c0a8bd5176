/**
 * How soon after `slipway train` the first step is done: the command as a user gives it, its recipe's data prepared anew each time. The
 * first round finds nothing warm and does not count.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { median, round3 } from '../rounds.ts';

const COMMAND = join(import.meta.dirname, '..', '..', 'slipway');

export interface FirstStep {
  readonly recipe: string;
  /** From the start of the command. */
  readonly seconds: Readonly<Record<'preparing_done' | 'first_step', number>>;
  readonly samples_seconds: readonly number[];
}

export async function measureFirstStep(recipe: string, rounds: number): Promise<FirstStep> {
  const each = [];
  for (let round = 0; round <= rounds; round++) each.push(await timeOnce(recipe));
  const counted = each.slice(1);
  const of = (times: readonly number[]) => round3(median(times));
  return {
    recipe,
    seconds: {
      preparing_done: of(counted.map(({ prepared }) => prepared)),
      first_step: of(counted.map(({ stepped }) => stepped)),
    },
    samples_seconds: counted.map(({ stepped }) => round3(stepped)),
  };
}

/** Seconds. */
async function timeOnce(recipe: string): Promise<{ prepared: number; stepped: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
  const startedAt = performance.now();
  const seconds = () => (performance.now() - startedAt) / 1000;
  const child = spawn(COMMAND, ['train', recipe, '--follow', '--json', '--set', 'training.log_every=1'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, DATA_FOLDER: join(folder, 'data'), BUCKET_URL: join(folder, 'bucket') },
  });
  const closed = once(child, 'close');
  try {
    let prepared = Number.NaN;
    for await (const line of createInterface({ input: child.stdout })) {
      const { type } = JSON.parse(line);
      if (type === 'data') prepared = seconds();
      if (type === 'progress') return { prepared, stepped: seconds() };
    }
    throw new Error(`slipway train ${recipe} ended before its first step`);
  } finally {
    // It pauses, and its kernel is gone before its folder is.
    child.kill('SIGINT');
    await closed;
    rmSync(folder, { recursive: true, force: true });
  }
}
