/**
 * What a run's record says of where it ran: processor, memory, and the commit of the code. Nothing of it is needed for the run.
 */
import { execFile } from 'node:child_process';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import type { RunRecord } from './run-record.ts';

export function describeMachine(): Omit<RunRecord['hardware'], 'device'> {
  return { processor: cpus()[0]?.model ?? 'unknown', cores: availableParallelism(), memory_bytes: totalmem() };
}

/** Undefined where this is no git checkout. With `-dirty` when files differ from it. */
export async function gitCommit(): Promise<string | undefined> {
  const cwd = resolve(import.meta.dirname, '../../..');
  const git = async (...args: string[]) => (await promisify(execFile)('git', args, { cwd })).stdout.trim();
  try {
    const commit = await git('rev-parse', 'HEAD');
    return (await git('status', '--porcelain', '--untracked-files=no')) === '' ? commit : `${commit}-dirty`;
  } catch {
    return undefined;
  }
}
