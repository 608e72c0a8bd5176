/**
 * A fine-tuning job as the recipe that it is. Pure: paths are found elsewhere.
 */
import type { FineTuningRequest, Hyperparameters } from '@slipway/shared/contracts/openai/fine-tuning.ts';
import { Recipe } from '@slipway/shared/contracts/recipe.ts';
import { learningRate } from '../../runs/train.ts';

export interface JobPaths {
  readonly base: string;
  readonly train: string;
  readonly validation: string | null;
}

/** What `auto` is where a recipe's own default would be another. */
const EPOCHS = 3;
const BATCH_SIZE = 16;
const LONGEST_NAME = 64;

/** A LoRA on the base, merged and published in float32 under a name of its own. */
export function jobRecipe(job: FineTuningRequest, { base, train, validation }: JobPaths): Recipe {
  const { n_epochs, batch_size } = job.hyperparameters;
  const recipe = Recipe.parse({
    name: modelName(job),
    model: { base, tuning: { method: 'lora' } },
    data: { train, validation },
    training: {
      epochs: n_epochs === 'auto' ? EPOCHS : n_epochs,
      batch_size: batch_size === 'auto' ? BATCH_SIZE : batch_size,
      seed: job.seed,
      log_every: 1,
    },
  });
  return { ...recipe, training: { ...recipe.training, learning_rate: rateOf(recipe, job.hyperparameters) } };
}

function rateOf(recipe: Recipe, { learning_rate_multiplier: times }: Hyperparameters): number | 'auto' {
  return times === 'auto' ? 'auto' : times * learningRate(recipe);
}

/** `SmolLM2-135M-Instruct` and `tone` make `SmolLM2-135M-Instruct-tone`. */
function modelName({ model, suffix }: FineTuningRequest): string {
  const end = `-${suffix ?? 'tuned'}`;
  const base = (model.split('/').at(-1) ?? '').replace(/@.*$/, '').replace(/\.gguf$/i, '');
  const clean = base.replaceAll(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return `${clean.slice(0, LONGEST_NAME - end.length) || 'model'}${end}`;
}
