/**
 * Fine-tuning jobs as OpenAI's API takes and tells them. Knows nothing of recipes or of how one is worked on.
 */
import { z } from 'zod';
import { listOf } from './file.ts';
import { Metadata } from './metadata.ts';

const auto = z.literal('auto');
const id = z.string().min(1).max(200);
const LARGEST_SEED = 2 ** 31 - 1;

const Hyperparameters = z.strictObject({
  n_epochs: z
    .union([auto, z.int().min(1).max(50)], { error: 'must be auto or a whole number from 1 to 50' })
    .default('auto'),
  batch_size: z
    .union([auto, z.int().min(1).max(256)], { error: 'must be auto or a whole number from 1 to 256' })
    .default('auto'),
  learning_rate_multiplier: z
    .union([auto, z.number().positive().max(100)], { error: 'must be auto or a number above 0 and up to 100' })
    .default('auto'),
});
export type Hyperparameters = z.infer<typeof Hyperparameters>;

export const FineTuningCreateRequest = z.object({
  model: z.string().min(1).max(300),
  training_file: id,
  validation_file: id.optional(),
  method: z
    .object({
      type: z.literal('supervised', { error: 'must be supervised: nothing else is done here' }),
      supervised: z.object({ hyperparameters: Hyperparameters.optional() }).nullish(),
    })
    .optional(),
  /** Where older clients write them. */
  hyperparameters: Hyperparameters.optional(),
  seed: z.int().min(0).max(LARGEST_SEED).optional(),
  suffix: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,38}[A-Za-z0-9]$|^[A-Za-z0-9]$/, {
      error: 'must be 1 to 40 letters, digits, dots, dashes or underscores, and begin and end with a letter or digit',
    })
    .optional(),
  metadata: Metadata.optional(),
  integrations: z.array(z.unknown()).max(0, { error: 'must be empty: runs are reported nowhere else' }).optional(),
});
export type FineTuningCreateRequest = z.infer<typeof FineTuningCreateRequest>;

/** What is kept of a request, with what was decided where it left something open. */
export const FineTuningRequest = z.object({
  model: z.string(),
  training_file: z.string(),
  validation_file: z.string().nullable(),
  hyperparameters: Hyperparameters,
  seed: z.int(),
  suffix: z.string().nullable(),
  metadata: z.record(z.string(), z.string()).nullable(),
});
export type FineTuningRequest = z.infer<typeof FineTuningRequest>;

export const FineTuningListQuery = z.object({
  after: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});

const seconds = z.int().nullable();

export const FineTuningJob = z.object({
  id: z.string(),
  object: z.literal('fine_tuning.job'),
  created_at: z.int(),
  finished_at: seconds,
  estimated_finish: seconds,
  model: z.string(),
  /** NAME@v001. */
  fine_tuned_model: z.string().nullable(),
  organization_id: z.string(),
  status: z.enum(['validating_files', 'queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled']),
  training_file: z.string(),
  validation_file: z.string().nullable(),
  result_files: z.array(z.string()),
  trained_tokens: z.int().nullable(),
  hyperparameters: Hyperparameters,
  method: z.object({ type: z.literal('supervised'), supervised: z.object({ hyperparameters: Hyperparameters }) }),
  error: z.object({ code: z.string(), message: z.string(), param: z.string().nullable() }).nullable(),
  user_provided_suffix: z.string().nullable(),
  seed: z.int(),
  metadata: z.record(z.string(), z.string()).nullable(),
  integrations: z.array(z.unknown()),
});
export type FineTuningJob = z.infer<typeof FineTuningJob>;

export const FineTuningEvent = z.object({
  id: z.string(),
  object: z.literal('fine_tuning.job.event'),
  created_at: z.int(),
  level: z.enum(['info', 'warn', 'error']),
  message: z.string(),
  type: z.enum(['message', 'metrics']),
  data: z.record(z.string(), z.unknown()).nullable(),
});
export type FineTuningEvent = z.infer<typeof FineTuningEvent>;

export const FineTuningCheckpoint = z.object({
  id: z.string(),
  object: z.literal('fine_tuning.job.checkpoint'),
  created_at: z.int(),
  fine_tuning_job_id: z.string(),
  /** What a run goes on from; it is not served. */
  fine_tuned_model_checkpoint: z.string(),
  step_number: z.int(),
  metrics: z.object({
    step: z.int(),
    train_loss: z.number().optional(),
    valid_loss: z.number().optional(),
  }),
});
export type FineTuningCheckpoint = z.infer<typeof FineTuningCheckpoint>;

export const FineTuningJobList = listOf(FineTuningJob);
export const FineTuningEventList = listOf(FineTuningEvent);
export const FineTuningCheckpointList = listOf(FineTuningCheckpoint);
