/**
 * How surprising a model finds a text: encoded as the model has it, cut into windows, each read by the engine as a prompt that nothing
 * follows. Knows nothing of HTTP or of how the numbers are shown.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { OutputLogprobs } from '@slipway/shared/contracts/generate.ts';
import type { ScoredText } from '@slipway/shared/contracts/score.ts';
import type { LoadedModel } from '../loaded-model.ts';
import { alignBytes } from './align-bytes.ts';
import { planWindows } from './plan-windows.ts';
import type { OffsetOf, ScoredToken } from './scored-token.ts';

/** What the engine says of the tokens of one window; null for the first. */
export type ReadWindow = (tokens: readonly number[]) => Promise<readonly (OutputLogprobs | null)[]>;

export interface WindowSize {
  readonly length: number;
  readonly stride: number;
}

export interface ScoredTokens {
  /** Without BOS. */
  readonly tokens: readonly ScoredToken[];
  readonly offsetOf: OffsetOf;
  readonly windows: number;
  /** Computed, those that two windows share twice. */
  readonly computedTokens: number;
}

export interface EncodedText {
  readonly text: ScoredText;
  readonly bos: readonly number[];
  readonly ids: readonly number[];
}

/** Ids are taken as they are; a text begins with BOS where the model was trained so. AppError invalid_field for ids that it does not have. */
export function encodeText(text: ScoredText, name: string, model: LoadedModel): EncodedText {
  const { tokenizer, engine, addBos, bosTokenId } = model;
  if (typeof text === 'string') {
    const ids = tokenizer.encode(text, { addBos: false, parseSpecial: false });
    return { text, bos: addBos && bosTokenId !== null ? [bosTokenId] : [], ids };
  }
  const { vocabularySize } = engine.info;
  const wrong = text.findIndex((id) => id >= vocabularySize);
  if (wrong === -1) return { text, bos: [], ids: text };
  const allowed = `a token id from 0 to ${vocabularySize - 1}`;
  throw new AppError('invalid_field', `${name}[${wrong}] must be ${allowed}, but is ${text[wrong]}`);
}

export async function scoreText(
  { text, bos, ids }: EncodedText,
  model: LoadedModel,
  window: WindowSize,
  read: ReadWindow,
): Promise<ScoredTokens> {
  const all = [...bos, ...ids];
  const windows = planWindows(all.length, window.length, window.stride);
  const found: (OutputLogprobs | null)[] = [null];
  for (const { start, end, scoredFrom } of windows) {
    const logprobs = await read(all.slice(start, end));
    found.push(...logprobs.slice(scoredFrom - start));
  }
  const tokens = describe(ids, found.slice(bos.length), model);
  const offsets = typeof text === 'string' ? alignBytes(text.toWellFormed(), joined(tokens)) : undefined;
  return {
    tokens: offsets?.[1] === 0 ? withoutAddedSpace(tokens) : tokens,
    // Ids are no text, but have the text that they make.
    offsetOf: (index) => (typeof text === 'string' ? (offsets?.[index] ?? null) : index),
    windows: windows.length,
    computedTokens: windows.reduce((sum, { start, end }) => sum + end - start, 0),
  };
}

function describe(
  ids: readonly number[],
  logprobs: readonly (OutputLogprobs | null)[],
  { tokenizer }: LoadedModel,
): ScoredToken[] {
  let end = 0;
  return ids.map((id, index) => {
    const bytes = tokenizer.bytesOf(id);
    const start = end;
    end += bytes.length;
    const entry = logprobs[index] ?? null;
    // -0 would be printed as such.
    const nats = entry === null ? null : 0 - entry.logprob;
    return { id, piece: tokenizer.pieceOf(id), bytes, start, end, nats, top: entry?.top ?? [] };
  });
}

/** A space that the tokenizer put in front has no place in the text: all that its token tells is told of the rest. */
function withoutAddedSpace([first, ...others]: readonly ScoredToken[]): readonly ScoredToken[] {
  return first === undefined ? [] : [{ ...first, bytes: first.bytes.subarray(1), start: 1 }, ...others];
}

function joined(tokens: readonly ScoredToken[]): Uint8Array {
  return Buffer.concat(tokens.map(({ bytes }) => bytes));
}
