/**
 * The words between the supervisor and a kernel, the Python process that trains: JSON, one message per line, on the kernel's stdin and
 * stdout. Bytes travel by path. Knows shapes only; services/trainer/kernel has the same in Python.
 */
import { describeIssues } from '@slipway/shared/lib/describe-issues.ts';
import { z } from 'zod';

export const PROTOCOL_VERSION = 1;
/** Of one message, its line break not counted. */
export const LONGEST_LINE_BYTES = 2 ** 20;

/** Why a run did not succeed: what a kernel says of itself, and what is concluded when it can say nothing more. */
export const FailureClass = z.enum([
  'user_input',
  'tokenization_mismatch',
  'out_of_memory',
  'not_finite',
  'disk_full',
  'device',
  'environment',
  'crashed',
  'stuck',
  'protocol',
  'parity_failed',
  'unavailable',
  'internal',
]);
export type FailureClass = z.infer<typeof FailureClass>;

const count = z.number().int().nonnegative();
const tokenIds = z.array(count);
/** A number that arithmetic may have lost: JSON has no NaN. */
const measured = z.number().nullable();

const Hello = z.object({
  type: z.literal('hello'),
  protocol: z.number().int(),
  kernel: z.string(),
  python: z.string(),
  libraries: z.record(z.string(), z.string()),
});
export type Hello = z.infer<typeof Hello>;

export const Started = z.object({
  type: z.literal('started'),
  device: z.string(),
  precision: z.string(),
  world_size: count,
  parameters: count,
  trainable_parameters: count,
  total_steps: count,
  step: count,
  micro_batch_size: count,
  accumulation: count,
  /** Of one optimizer step, padding included. */
  tokens_per_step: count,
  /** The checkpoint's step. */
  resumed_from: count.nullable(),
});

export const Progress = z.object({
  type: z.literal('progress'),
  step: count,
  total_steps: count,
  epoch: z.number(),
  loss: z.number(),
  learning_rate: z.number(),
  gradient_norm: measured,
  tokens_per_second: z.number(),
  supervised_tokens_per_second: z.number(),
  /** 0..1. */
  padding_ratio: z.number(),
  memory_bytes: count,
  /** Since training began, without pauses. */
  seconds: z.number(),
});

export const Evaluation = z.object({
  type: z.literal('evaluation'),
  step: count,
  loss: z.number(),
  perplexity: measured,
  tokens: count,
  best: z.boolean(),
});

/** Said once it is whole and on the disk. */
export const Checkpoint = z.object({
  type: z.literal('checkpoint'),
  step: count,
  path: z.string(),
  bytes: count,
  best: z.boolean(),
});

export const Sample = z.object({
  type: z.literal('sample'),
  step: count,
  prompt: tokenIds,
  ids: tokenIds,
  /** By a stop token, not by length. */
  ended: z.boolean(),
});

export const MicroBatch = z.object({
  type: z.literal('micro_batch'),
  from: count,
  to: count,
  accumulation: count,
  reason: z.string(),
});

export const Log = z.object({
  type: z.literal('log'),
  level: z.enum(['info', 'warning', 'error']),
  message: z.string(),
});

const Done = z.object({ type: z.literal('done'), result: z.record(z.string(), z.unknown()) });

const Stopped = z.object({
  type: z.literal('stopped'),
  reason: z.enum(['paused', 'cancelled']),
  step: count.nullable(),
  checkpoint: z.string().nullable(),
});

const Failed = z.object({
  type: z.literal('failed'),
  class: FailureClass,
  message: z.string(),
  step: count.nullable(),
  /** Which example of the data was at fault. */
  example: count.nullable(),
  checkpoint: z.string().nullable(),
});

/** What happens during a job, in the order it happens. */
export const KernelEvent = z.discriminatedUnion('type', [
  Started,
  Progress,
  Evaluation,
  Checkpoint,
  Sample,
  MicroBatch,
  Log,
]);
export type KernelEvent = z.infer<typeof KernelEvent>;

const Ending = z.discriminatedUnion('type', [Done, Stopped, Failed]);
/** Exactly one of them ends a job. */
export type Ending = z.infer<typeof Ending>;

const KernelMessage = z.discriminatedUnion('type', [
  Hello,
  z.object({ type: z.literal('heartbeat') }),
  ...KernelEvent.options,
  ...Ending.options,
]);
export type KernelMessage = z.infer<typeof KernelMessage>;

export type ParentMessage =
  | { readonly type: 'job'; readonly path: string }
  | { readonly type: 'pause' }
  | { readonly type: 'cancel' };

export function isEnding(message: KernelMessage): message is Ending {
  return message.type === 'done' || message.type === 'stopped' || message.type === 'failed';
}

/** A message, or what is wrong with the line. */
export function parseKernelLine(line: string): KernelMessage | { readonly type: 'fault'; readonly what: string } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { type: 'fault', what: 'no JSON' };
  }
  const { data, error } = KernelMessage.safeParse(value);
  return data ?? { type: 'fault', what: `no message of its protocol (${describeIssues(error)})` };
}
