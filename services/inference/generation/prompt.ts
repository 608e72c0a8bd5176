/**
 * Turns a request's prompt into the ids the engine gets: encoded, checked, cut from the left. Pure.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Tokenizer } from '@slipway/shared/text/contract.ts';

export interface PromptModel {
  readonly tokenizer: Tokenizer;
  readonly vocabularySize: number;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  readonly addBos: boolean;
}

export interface PreparedPrompt {
  readonly tokens: readonly number[];
  /** The beginning was cut off. */
  readonly truncated: boolean;
}

/** An empty prompt becomes BOS (or EOS, which such models use as a separator). At most `limit` ids; BOS outlives the cut. */
export function preparePrompt(prompt: string | readonly number[], model: PromptModel, limit: number): PreparedPrompt {
  const bos = typeof prompt === 'string' && model.addBos ? model.bosTokenId : null;
  const body = typeof prompt === 'string' ? encodeTail(model.tokenizer, prompt, limit + 1) : checkedIds(prompt, model);
  const room = limit - (bos === null ? 0 : 1);
  const kept = body.length > room ? body.slice(body.length - room) : body;
  const tokens = bos === null ? kept : [bos, ...kept];
  if (tokens.length > 0) return { tokens, truncated: body.length > room };

  const start = model.bosTokenId ?? model.eosTokenIds[0];
  if (start === undefined) {
    throw new AppError(
      'invalid_field',
      'prompt is empty, and this model has no token to begin a text with; give it a text',
      { field: 'prompt' },
    );
  }
  return { tokens: [start], truncated: false };
}

function checkedIds(ids: readonly number[], model: PromptModel): readonly number[] {
  const wrong = ids.findIndex((id) => id >= model.vocabularySize);
  if (wrong === -1) return ids;
  throw new AppError(
    'invalid_field',
    `prompt[${wrong}] must be a token id from 0 to ${model.vocabularySize - 1}, but is ${ids[wrong]}`,
    { field: 'prompt' },
  );
}

const CHARACTERS_PER_TOKEN = 16;
/** Ids near the cut may differ from those of the whole text; these many are encoded beyond what is kept. */
const SPARE_TOKENS = 64;
const SPACE_SEARCH = 1024;

/**
 * The last `count` or more ids of a text, or all when it has fewer. Only the end of a very long text is encoded, because encoding a
 * megabyte would keep the event loop from answering probes. The cut lies at a space, where vocabularies split words anyway.
 */
function encodeTail(tokenizer: Tokenizer, text: string, count: number): number[] {
  const options = { addBos: false, parseSpecial: false };
  const wanted = count + SPARE_TOKENS;
  for (let length = wanted * CHARACTERS_PER_TOKEN; length < text.length; length *= 4) {
    const tokens = tokenizer.encode(text.slice(cutAtSpace(text, text.length - length)), options);
    if (tokens.length >= wanted) return tokens.slice(SPARE_TOKENS);
  }
  return tokenizer.encode(text, options);
}

function cutAtSpace(text: string, from: number): number {
  const space = text.slice(from, from + SPACE_SEARCH).search(/\s/);
  if (space !== -1) return from + space;
  const isLowSurrogate = /[\udc00-\udfff]/.test(text[from] ?? '');
  return isLowSurrogate ? from + 1 : from;
}
