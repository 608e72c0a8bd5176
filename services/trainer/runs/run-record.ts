/**
 * What is known of a run: run.json in its folder. Written by whoever works on the run, read by everybody.
 */
import { Lineage } from '@slipway/shared/contracts/manifest.ts';
import { FineTuningRequest } from '@slipway/shared/contracts/openai/fine-tuning.ts';
import { Recipe } from '@slipway/shared/contracts/recipe.ts';
import { PRIORITIES } from '@slipway/shared/jobs/job-queue.ts';
import { z } from 'zod';
import { FailureClass } from '../supervisor/kernel-protocol.ts';
import { RunState } from './run-state.ts';

const count = z.number().int().nonnegative();
const time = z.iso.datetime().nullable();

export const RunId = z.string().regex(/^run-\d{8}-\d{6}-[0-9a-f]{6}$/, 'a run is called run-20260131-140507-1a2b3c');

const Failure = z.object({
  class: FailureClass,
  message: z.string(),
  step: count.nullable(),
  example: count.nullable(),
});

/** What the training made. Paths are absolute. */
export const Trained = z.object({
  model: z.string(),
  adapter: z.string().nullable(),
  step: count,
  loss: z.number().nullable(),
  best_step: count.nullable(),
  best_loss: z.number().nullable(),
  tokens: count,
  supervised_tokens: count,
  seconds: z.number(),
  peak_memory_bytes: count,
  checkpoint: z.string().nullable(),
});
export type Trained = z.infer<typeof Trained>;

const RunRequest = z.discriminatedUnion('kind', [
  /** With every default filled in; its paths and files are named as they were. */
  z.object({ kind: z.literal('recipe'), recipe: Recipe }),
  z.object({ kind: z.literal('fine_tuning'), job: FineTuningRequest }),
]);
export type RunRequest = z.infer<typeof RunRequest>;

export const RunRecord = z.object({
  schema: z.literal(1),
  id: RunId,
  name: z.string(),
  owner: z.string(),
  state: RunState,
  priority: z.enum(PRIORITIES).default('normal'),
  /** For people: what it does, or why it does nothing. */
  message: z.string(),
  /** The file it was started from, as it was called. */
  recipe_label: z.string(),
  /** Every default filled in, every path absolute. */
  recipe: Recipe,
  /** What a caller of the service asked for, in its own words. Null: it was submitted here. */
  request: RunRequest.nullable().default(null),
  bucket: z.string(),
  created_at: z.iso.datetime(),
  started_at: time,
  ended_at: time,
  /** How often it was put into the queue: names its job there. */
  queued: count,
  /** How often a kernel was started for the training. */
  attempts: count,
  /** Failures of each class since the last checkpoint that was new. */
  retries: z.partialRecord(FailureClass, count),
  /** Checkpoints seen: the step of the newest. */
  checkpoint_step: count.nullable(),
  /** Sequences computed at once by the last kernel. */
  micro_batch: count.nullable(),
  /** After an out-of-memory death: at most so many. */
  largest_micro_batch: count.nullable(),
  failure: Failure.nullable(),
  lineage: Lineage,
  hardware: z.object({ processor: z.string(), cores: count, memory_bytes: count, device: z.string().nullable() }),
  /** Seconds of each stage, all attempts together. */
  durations: z.object({ preparing: z.number(), training: z.number(), publishing: z.number() }),
  trained: Trained.nullable(),
  /** NAME@v001, in the order they were published. */
  published: z.array(z.string()),
  /** When its checkpoints, model and prepared data were removed to make room. */
  freed_at: time.default(null),
});
export type RunRecord = z.infer<typeof RunRecord>;
