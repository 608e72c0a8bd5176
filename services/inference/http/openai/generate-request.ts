/**
 * From OpenAI's words for a request to ours. Pure. Knows nothing of prompts and of how the answer is told.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import {
  type GenerateLimits,
  type GenerateRequest,
  generateRequestParser,
} from '@slipway/shared/contracts/generate.ts';
import type { SharedFields } from '@slipway/shared/contracts/openai/request-fields.ts';

/** top_p of 0 is OpenAI's for "only the best"; ours begins above 0. */
const SMALLEST_TOP_P = 1e-9;
const SEEDS = 2 ** 53;

/** All but the prompt, the number of tokens, logprobs and form of the answer. AppError invalid_field when two fields contradict each other. */
export function settingsOf(fields: SharedFields, limits: GenerateLimits): GenerateRequest {
  if (fields.stream_options !== undefined && !fields.stream) {
    throw new AppError('invalid_field', 'stream_options is only allowed together with "stream": true', {
      field: 'stream_options',
    });
  }
  const { seed } = fields;
  return {
    ...defaultsOf(limits),
    temperature: fields.temperature,
    top_k: Math.max(0, fields.top_k),
    top_p: Math.max(SMALLEST_TOP_P, fields.top_p),
    min_p: fields.min_p,
    repetition_penalty: fields.repetition_penalty,
    presence_penalty: fields.presence_penalty,
    frequency_penalty: fields.frequency_penalty,
    think_penalty: fields.think_penalty,
    post_stop: fields.post_stop ?? [],
    post_stop_penalty: fields.post_stop_penalty,
    logit_bias: fields.logit_bias ?? {},
    bad_words: fields.bad_words ?? [],
    // OpenAI's may be negative.
    ...(seed === undefined ? {} : { seed: seed < 0 ? SEEDS + seed : seed }),
    stop: fields.stop ?? [],
    stop_token_ids: fields.stop_token_ids ?? [],
    ignore_eos: fields.ignore_eos,
    num_return_sequences: fields.n,
    stream: fields.stream,
    ...(fields.prompt_logprobs === undefined ? {} : { prompt_logprobs: fields.prompt_logprobs }),
    model: fields.model,
  };
}

const defaults = new WeakMap<GenerateLimits, GenerateRequest>();

/** What a request is that says nothing. Found once for each service: making its parser takes milliseconds. */
function defaultsOf(limits: GenerateLimits): GenerateRequest {
  const found = defaults.get(limits) ?? generateRequestParser(limits)({ prompt: [] });
  defaults.set(limits, found);
  return found;
}

export interface NewTokens {
  readonly max_new_tokens: number;
  readonly min_new_tokens: number;
}

/** What is above the service's own limit is brought down to it, because clients cannot know it; `warn` is told. */
export function newTokensOf(
  field: string,
  wanted: number,
  minimum: number,
  { maxNewTokens }: GenerateLimits,
  warn: (warning: string) => void,
): NewTokens {
  if (minimum > wanted) {
    throw new AppError('invalid_field', `min_tokens must not be above ${field} (${wanted}), but is ${minimum}`, {
      field: 'min_tokens',
    });
  }
  if (wanted > maxNewTokens) warn(`${field} is ${wanted}; an answer has at most ${maxNewTokens} tokens here`);
  return { max_new_tokens: Math.min(wanted, maxNewTokens), min_new_tokens: Math.min(minimum, maxNewTokens) };
}
