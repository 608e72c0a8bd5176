/**
 * Figures of answers by the libraries that define them, which are Python's: a job of the kernel. Knows the job and its result only.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { z } from 'zod';
import type { KernelCommand } from '../supervisor/kernel-command.ts';
import { startKernel } from '../supervisor/kernel-process.ts';

export interface Pair {
  readonly prediction: string;
  readonly reference: string;
}

const Figures = z.object({
  exact_match: z.number(),
  token_f1: z.number(),
  rouge_l: z.number(),
  bleu: z.number(),
  distinct_1: z.number(),
  distinct_2: z.number(),
  repetition: z.number(),
});
const PairScores = z.object({
  exact_match: z.number(),
  token_f1: z.number(),
  rouge_l: z.number(),
  bleu: z.number(),
  repetition: z.number(),
  /** Words of the prediction, words of the reference, matching 1- to 4-grams, all 1- to 4-grams of the prediction. */
  bleu_counts: z.array(z.number().int()).length(10),
});
export type PairScores = z.infer<typeof PairScores>;

/** It has no steps to tell of; its heartbeat shows that it lives. */
const NO_PROGRESS_MILLISECONDS = 24 * 3600 * 1000;

/** At least one pair; `each` is in their order. AppError internal when the kernel fails. */
export async function scoreAnswers(
  pairs: readonly Pair[],
  { command, environment }: KernelCommand,
  signal: AbortSignal,
): Promise<{ readonly figures: z.infer<typeof Figures>; readonly each: readonly PairScores[] }> {
  signal.throwIfAborted();
  const folder = await mkdtemp(join(tmpdir(), 'slipway-metrics-'));
  const inside = (name: string) => join(folder, name);
  try {
    await writeFile(inside('pairs.jsonl'), pairs.map((pair) => `${JSON.stringify(pair)}\n`).join(''));
    const job = { operation: 'metrics', pairs: inside('pairs.jsonl'), scores: inside('scores.jsonl') };
    await writeFile(inside('job.json'), JSON.stringify(job));
    const kernel = startKernel({ command, environment, limits: { progress: NO_PROGRESS_MILLISECONDS } });
    kernel.begin(inside('job.json'));
    const stop = () => kernel.kill('it was told to stop');
    signal.addEventListener('abort', stop);
    const outcome = await kernel.outcome.finally(() => signal.removeEventListener('abort', stop));
    signal.throwIfAborted();
    if (outcome.kind === 'failed') throw new AppError('internal', `no metrics: ${outcome.failure.message}`);
    if (outcome.kind === 'stopped') throw new AppError('internal', 'no metrics: the kernel was stopped');
    const lines = (await readFile(inside('scores.jsonl'), 'utf8')).trimEnd().split('\n');
    return {
      figures: Figures.parse(outcome.result),
      each: lines.map((line) => PairScores.parse(JSON.parse(line))),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
