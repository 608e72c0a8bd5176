/**
 * A tokenizer trained by a kernel: its folder is there as a whole, or not at all. Knows the kernel's job and its result; how it is trained
 * is the kernel's.
 */
import { access, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { z } from 'zod';
import { KernelError } from '../supervisor/kernel-error.ts';
import { startKernel } from '../supervisor/kernel-process.ts';
import { type TokenizerKind, TokenizerStatistics } from './statistics.ts';

/** What is not named is the kind's default: see docs/tokenizers.md. */
export interface SpecialTokenNames {
  readonly bos?: string | null | undefined;
  readonly eos?: string | null | undefined;
  readonly pad?: string | null | undefined;
  /** Tokens for the turns of a conversation, and a chat template that writes them. */
  readonly chat?: boolean | undefined;
  readonly extra?: readonly string[] | undefined;
}

export interface TokenizerRequest {
  readonly kind: TokenizerKind;
  /** null: every character there is; only for characters. */
  readonly vocabularySize: number | null;
  /** Text in UTF-8. */
  readonly files: readonly string[];
  /** Share of the text, from 0 to less than 1, that is not learnt from but measured on. Null: as is usual for the kind. */
  readonly holdout: number | null;
  readonly specialTokens: SpecialTokenNames;
  readonly seed: number;
  /** Where the tokenizer's folder is to be; nothing may be there. */
  readonly folder: string;
}

export interface TrainingTools {
  /** The kernel's program and arguments, and its environment. */
  readonly command: readonly [string, ...string[]];
  readonly environment?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
  /** What it is at, in words. */
  readonly onMessage?: (message: string) => void;
}

const HOLDOUT = 0.05;

const Result = z.object({ statistics: TokenizerStatistics });
/** It has no steps to tell of; its heartbeat shows that it lives. */
const NO_PROGRESS_MILLISECONDS = 24 * 3600 * 1000;

/** AppError already_exists. KernelError: what it failed of, such as the text or the sizes. */
export async function trainTokenizer(request: TokenizerRequest, tools: TrainingTools): Promise<TokenizerStatistics> {
  const place = resolve(request.folder);
  await requireFree(place);
  await mkdir(dirname(place), { recursive: true });
  const work = await mkdtemp(join(dirname(place), `.${basename(place)}.partial-`));
  try {
    const made = join(work, 'tokenizer');
    const jobFile = join(work, 'job.json');
    await writeFile(jobFile, JSON.stringify(jobOf(request, made)));
    const { statistics } = await runJob(jobFile, tools);
    await rename(made, place);
    return statistics;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function requireFree(place: string): Promise<void> {
  const isThere = await access(place).then(
    () => true,
    () => false,
  );
  if (isThere) throw new AppError('already_exists', `${place} is there already; name another folder, or remove it`);
}

function jobOf(request: TokenizerRequest, folder: string): Record<string, unknown> {
  return {
    operation: 'train-tokenizer',
    folder,
    kind: request.kind,
    vocabulary_size: request.vocabularySize,
    files: request.files.map((file) => resolve(file)),
    // A character that is only in what is held out would be unknown.
    holdout: request.holdout ?? (request.kind === 'character' ? 0 : HOLDOUT),
    special_tokens: request.specialTokens,
    seed: request.seed,
  };
}

async function runJob(
  jobFile: string,
  { command, environment, signal, onMessage }: TrainingTools,
): Promise<z.infer<typeof Result>> {
  signal?.throwIfAborted();
  const kernel = startKernel({
    command,
    limits: { progress: NO_PROGRESS_MILLISECONDS },
    ...(environment && { environment }),
    onEvent: (event) => {
      if (event.type === 'log') onMessage?.(event.message);
    },
  });
  kernel.begin(jobFile);
  const stop = () => kernel.kill('it was told to stop');
  signal?.addEventListener('abort', stop);
  try {
    const outcome = await kernel.outcome;
    signal?.throwIfAborted();
    if (outcome.kind === 'done') return Result.parse(outcome.result);
    if (outcome.kind === 'stopped') throw new AppError('internal', 'the training of the tokenizer was stopped');
    throw new KernelError(outcome.failure);
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}
