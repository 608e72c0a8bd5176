/**
 * One sequence's choice of tokens: its generator, and what its request does to the logits before.
 */
import type { SequenceRequest, TokenLogprobs } from './contract.ts';
import { createLogitProcessor } from './logit-processor.ts';
import { createRandom } from './random.ts';
import { describeToken, drawToken, findBest } from './sampling.ts';

export interface Choice {
  readonly token: number;
  readonly logprobs?: TokenLogprobs;
}

export interface Sampler {
  /** Chooses from one row of logits, which may be changed. Throws when no token is left to choose. */
  choose(row: Float32Array): Choice;
}

export type SampledRequest = Pick<
  SequenceRequest,
  'sampling' | 'prompt' | 'eosTokenIds' | 'stopTokenIds' | 'minNewTokens' | 'logprobs'
>;

export function createSampler(request: SampledRequest): Sampler {
  const { sampling, prompt, logprobs, minNewTokens = 0, eosTokenIds, stopTokenIds = [] } = request;
  const random = createRandom(sampling.seed);
  const processor = createLogitProcessor({
    sampling,
    prompt,
    minNewTokens,
    endTokenIds: [...eosTokenIds, ...stopTokenIds],
  });

  return {
    choose(row) {
      const original = processor && logprobs !== undefined ? row.slice() : row;
      processor?.apply(row);
      const token = sampling.temperature > 0 ? drawToken(row, sampling, random()) : findBest(row);
      if (token < 0) throw new Error(whyNone(row));
      processor?.accept(token);
      return logprobs === undefined ? { token } : { token, logprobs: describeToken(original, token, logprobs) };
    },
  };
}

function whyNone(row: Float32Array): string {
  return row.every((value) => value === -Infinity)
    ? 'no token is left to choose: the request forbids all of them'
    : 'the model computed logits that are not finite numbers (NaN or infinity)';
}
