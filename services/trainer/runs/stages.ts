/**
 * What a run needs from outside to go from a recipe to a version, as its worker sees it: made in prepare-run.ts, publish/ and the kernel's
 * set-up, and replaced in tests.
 */
import { LineageFile } from '@slipway/shared/contracts/manifest.ts';
import { z } from 'zod';
import type { KernelCommand } from '../supervisor/kernel-command.ts';
import type { OpenRun } from './open-run.ts';

const tokenIds = z.array(z.number().int().nonnegative());

/** Everything the kernel is told but how to train; kept in the run's folder, so that it is made once. */
export const PreparedJob = z.object({
  model: z.union([
    z.object({ kind: z.literal('scratch'), config: z.record(z.string(), z.unknown()) }),
    z.object({ kind: z.literal('base'), path: z.string(), tuning: z.record(z.string(), z.unknown()).nullable() }),
  ]),
  tokenizer: z.string(),
  data: z.object({ train: z.string(), validation: z.string().nullable(), verify: z.array(z.unknown()) }),
  samples: z.array(z.object({ prompt: tokenIds, max_new_tokens: z.number().int() })),
  stop_ids: tokenIds,
  /** Tokens the model takes. */
  context_length: z.number().int(),
  /** Tokens of a row. */
  sequence_length: z.number().int(),
  /** What it was made of, for the lineage. */
  lineage: z.object({
    data: z.array(LineageFile),
    parent: z.string().optional(),
    parent_files: z.array(LineageFile).optional(),
  }),
});
export type PreparedJob = z.infer<typeof PreparedJob>;

export interface StageTools {
  /** Aborted when the run is to stop; the stage throws, and nothing half done of it stays. */
  readonly signal: AbortSignal;
  /** `part` is 0..1 of this phase; `detail` is for people. */
  readonly onProgress: (phase: string, part: number, detail?: string) => void;
}

export interface Kernels {
  /** On all that the recipe asks for. */
  readonly training: KernelCommand;
  /** For everything around it: one process. */
  readonly single: KernelCommand;
}

export interface Stages {
  /** A Python that has what the kernel needs; set up when it is missing. */
  kernel(run: OpenRun, tools: StageTools): Promise<Kernels>;
  prepare(run: OpenRun, kernels: Kernels, tools: StageTools): Promise<PreparedJob>;
  /** The trained model as proven versions, which it adds to the run's record one by one. What is there already is not published again. */
  publish(run: OpenRun, job: PreparedJob, kernels: Kernels, tools: StageTools): Promise<void>;
}
