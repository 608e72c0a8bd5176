/**
 * One sequence's choice of tokens: its generator, and what its request and the form it asks for do to the logits before.
 */
import { FormError } from './constraint/guide.ts';
import { applyMask, type TokenMask } from './constraint/mask.ts';
import type { SequenceRequest, TokenLogprobs } from './contract.ts';
import { createLogitProcessor } from './logit-processor.ts';
import { createRandom } from './random.ts';
import { describeToken, drawToken, findBest } from './sampling.ts';

export interface Choice {
  readonly token: number;
  readonly logprobs?: TokenLogprobs;
}

export interface Sampler {
  /**
   * Chooses from one row of logits, which may be changed. Undefined when the text is whole and cannot go on, and no token would end it.
   * Throws when no token is left to choose: a FormError when that is the request's doing.
   */
  choose(row: Float32Array, mask?: TokenMask): Choice | undefined;
}

export type SampledRequest = Pick<
  SequenceRequest,
  'sampling' | 'prompt' | 'eosTokenIds' | 'stopTokenIds' | 'minNewTokens' | 'logprobs'
>;

export function createSampler(request: SampledRequest): Sampler {
  const { sampling, prompt, logprobs, minNewTokens = 0, eosTokenIds, stopTokenIds = [] } = request;
  const random = createRandom(sampling.seed);
  const endTokenIds = [...eosTokenIds, ...stopTokenIds];
  const processor = createLogitProcessor({ sampling, prompt, minNewTokens, endTokenIds });

  let generated = 0;

  return {
    choose(row, mask) {
      const isOver = mask?.mayEnd === true && !mask.mayGoOn && generated >= minNewTokens;
      if (isOver && endTokenIds.length === 0) return undefined;
      const original = (processor || mask) && logprobs !== undefined ? row.slice() : row;
      processor?.apply(row);
      if (mask) applyMask(row, mask, endTokenIds);
      const token = sampling.temperature > 0 ? drawToken(row, sampling, random()) : findBest(row);
      if (token < 0) throw whyNone(row, mask);
      processor?.accept(token);
      generated++;
      return logprobs === undefined ? { token } : { token, logprobs: describeToken(original, token, logprobs) };
    },
  };
}

function whyNone(row: Float32Array, mask: TokenMask | undefined): Error {
  if (!row.every((value) => value === -Infinity))
    return new Error('the model computed logits that are not finite numbers (NaN or infinity)');
  if (!mask) return new FormError('the request forbids every token; ask for fewer bad words');
  return new FormError(
    mask.mayGoOn || mask.mayEnd
      ? 'all that the form allows at this place is forbidden by the request (bad words, or a least number of tokens)'
      : 'no token of this model can go on with the text in the form that was asked for',
  );
}
