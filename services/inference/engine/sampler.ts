/**
 * One sequence's choice of tokens: its generator, and the tokens its repetition penalty remembers.
 */
import type { Sampling, TokenLogprobs } from './contract.ts';
import { createRandom } from './random.ts';
import { describeToken, drawToken, findBest, penalizeRepetition } from './sampling.ts';

export interface Choice {
  readonly token: number;
  readonly logprobs?: TokenLogprobs;
}

export interface Sampler {
  /** Chooses from one row of logits, which may be changed. Throws when the row is not finite. */
  choose(row: Float32Array): Choice;
}

/** `logprobs`: how many alternatives to describe with each token; undefined describes nothing. */
export function createSampler(sampling: Sampling, prompt: readonly number[], logprobs?: number): Sampler {
  const random = createRandom(sampling.seed);
  const seen = sampling.repetitionPenalty === 1 ? undefined : new Set(prompt);

  return {
    choose(row) {
      const original = seen && logprobs !== undefined ? row.slice() : row;
      if (seen) penalizeRepetition(row, seen, sampling.repetitionPenalty);
      const token = sampling.temperature > 0 ? drawToken(row, sampling, random()) : findBest(row);
      if (token < 0) throw new Error('the model computed logits that are not finite numbers (NaN or infinity)');
      seen?.add(token);
      return logprobs === undefined ? { token } : { token, logprobs: describeToken(original, token, logprobs) };
    },
  };
}
