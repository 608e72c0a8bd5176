/**
 * What happens to a run, as events.jsonl has it and as everybody who follows a run reads it: the kernel's own events, and those of the
 * stages around it. Shapes only.
 */
import { Precision } from '@slipway/shared/contracts/manifest.ts';
import { z } from 'zod';
import {
  Checkpoint,
  Evaluation,
  FailureClass,
  Log,
  MicroBatch,
  Progress,
  Sample,
  Started,
} from '../supervisor/kernel-protocol.ts';
import { RunState } from './run-state.ts';

const RunHappening = z.discriminatedUnion('type', [
  Started,
  Progress,
  Evaluation,
  Checkpoint,
  /** What its ids say; nothing in a log of before this was kept. */
  Sample.extend({ prompt_text: z.string().default(''), text: z.string().default('') }),
  MicroBatch,
  Log,
  z.object({ type: z.literal('state'), state: RunState, message: z.string() }),
  /** How far a stage is beside the training: `part` is 0..1 of the phase. */
  z.object({ type: z.literal('phase'), phase: z.string(), part: z.number(), detail: z.string().optional() }),
  z.object({
    type: z.literal('data'),
    format: z.string(),
    examples: z.number(),
    tokens: z.number(),
    supervised_tokens: z.number(),
    validation_tokens: z.number(),
    rejected: z.number(),
    vocabulary_size: z.number(),
  }),
  z.object({
    type: z.literal('failure'),
    class: FailureClass,
    message: z.string(),
    step: z.number().nullable(),
    example: z.number().nullable(),
  }),
  z.object({
    type: z.literal('published'),
    version: z.string(),
    precision: Precision,
    bytes: z.number(),
    perplexity: z.number(),
    perplexity_source: z.number(),
    top1_agreement: z.number(),
    /** Tokens of the trainer's own answers that came out the same. */
    greedy_tokens: z.number(),
  }),
]);
export type RunHappening = z.infer<typeof RunHappening>;

export const LoggedEvent = z.object({ id: z.number().int(), at: z.iso.datetime() }).and(RunHappening);
export type LoggedEvent = z.infer<typeof LoggedEvent>;
