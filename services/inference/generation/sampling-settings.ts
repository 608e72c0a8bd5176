/**
 * From a request's words about sampling to the engine's, in token ids. Knows the tokenizer; nothing of how tokens are drawn.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { GenerateRequest } from '@slipway/shared/contracts/generate.ts';
import type { Tokenizer } from '@slipway/shared/text/contract.ts';
import type { Sampling } from '../engine/contract.ts';

/** All but the seed, which every sequence has for itself. */
export type SequenceSampling = Omit<Sampling, 'seed'>;

export interface SampledModel {
  readonly tokenizer: Tokenizer;
  readonly vocabularySize: number;
}

const THINK_TAGS = ['<think>', '</think>'];

/** AppError invalid_field when an id is not in the vocabulary. */
export function samplingOf(
  settings: Omit<GenerateRequest, 'prompt' | 'response_format'>,
  model: SampledModel,
): SequenceSampling {
  const { tokenizer, vocabularySize } = model;
  requireKnown('stop_token_ids', settings.stop_token_ids, vocabularySize);
  const bias = Object.entries(settings.logit_bias).map(([id, value]) => ({ token: Number(id), bias: value }));
  requireKnown(
    'logit_bias',
    bias.map(({ token }) => token),
    vocabularySize,
  );
  const thoughts = settings.think_penalty > 0 ? THINK_TAGS : [];
  const sequenceBias = [
    ...runsOf(settings.bad_words, tokenizer).map((tokens) => ({ tokens, bias: -Infinity })),
    ...runsOf(thoughts, tokenizer).map((tokens) => ({ tokens, bias: -settings.think_penalty })),
  ];
  const markers = runsOf(settings.post_stop, tokenizer);
  return {
    temperature: settings.temperature,
    topK: settings.top_k,
    topP: settings.top_p,
    minP: settings.min_p,
    repetitionPenalty: settings.repetition_penalty,
    presencePenalty: settings.presence_penalty,
    frequencyPenalty: settings.frequency_penalty,
    ...(bias.length === 0 ? {} : { bias }),
    ...(sequenceBias.length === 0 ? {} : { sequenceBias }),
    ...(markers.length === 0 ? {} : { postStop: { markers, penalty: settings.post_stop_penalty } }),
  };
}

/** The ids of each text as it begins an answer and as it stands within one, where a space before it belongs to its first token. */
function runsOf(texts: readonly string[], tokenizer: Tokenizer): number[][] {
  const runs = new Map<string, number[]>();
  for (const text of texts) {
    for (const written of [text, ` ${text}`]) {
      const tokens = tokenizer.encode(written, { addBos: false, parseSpecial: true });
      if (tokens.length > 0) runs.set(tokens.join(), tokens);
    }
  }
  return [...runs.values()];
}

function requireKnown(field: string, ids: readonly number[], vocabularySize: number): void {
  const wrong = ids.find((id) => id >= vocabularySize);
  if (wrong === undefined) return;
  throw new AppError(
    'invalid_field',
    `${field} must have token ids from 0 to ${vocabularySize - 1}, but has ${wrong}`,
    { field },
  );
}
