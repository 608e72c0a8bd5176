/**
 * Tokens with their surprisal, turned into what people ask for: sums, a list per token, a list per character. Pure.
 */
import type { OutputLogprobs } from '@slipway/shared/contracts/generate.ts';
import type { CharacterScore, ScoreSums, TokenScore } from '@slipway/shared/contracts/score.ts';

export interface ScoredToken {
  readonly id: number;
  readonly piece: string;
  readonly bytes: Uint8Array;
  /** In the bytes of all tokens. */
  readonly start: number;
  readonly end: number;
  /** -ln p; null for what nothing precedes. */
  readonly nats: number | null;
  readonly top: OutputLogprobs['top'];
}

/** From an index in the bytes of all tokens to an offset in the text. */
export type OffsetOf = (index: number) => number | null;

export function tokenScores(tokens: readonly ScoredToken[], offsetOf: OffsetOf, withTop: boolean): TokenScore[] {
  return tokens.map(({ id, piece, start, end, nats, top }) => ({
    token_id: id,
    token: piece,
    start: offsetOf(start),
    end: offsetOf(end),
    ...surprisal(nats),
    ...(withTop ? { top } : {}),
  }));
}

interface Character {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** A token's surprisal lies evenly on its bytes; a character has that of its own. */
export function characterScores(tokens: readonly ScoredToken[], offsetOf: OffsetOf): CharacterScore[] {
  const origin = tokens[0]?.start ?? 0;
  const shares = natsPerByte(tokens);
  return charactersOf(Buffer.concat(tokens.map(({ bytes }) => bytes))).map(({ text, start, end }) => {
    const nats = shares.slice(start, end).reduce((sum, share) => sum + share, 0);
    return {
      character: text,
      start: offsetOf(origin + start),
      end: offsetOf(origin + end),
      ...surprisal(Number.isNaN(nats) ? null : nats),
    };
  });
}

/** NaN where nothing precedes. What a token without bytes tells is told of the byte after it, or of the last one. */
function natsPerByte(tokens: readonly ScoredToken[]): number[] {
  const shares: number[] = [];
  let carried = 0;
  for (const { bytes, nats } of tokens) {
    const known = nats ?? Number.NaN;
    if (bytes.length === 0) carried += nats ?? 0;
    for (let byte = 0; byte < bytes.length; byte++) {
      shares.push(known / bytes.length + carried);
      carried = 0;
    }
  }
  if (carried > 0 && shares.length > 0) shares.push((shares.pop() ?? 0) + carried);
  return shares;
}

export function sumsOf(tokens: readonly ScoredToken[]): ScoreSums {
  const scored = tokens.filter(({ nats }) => nats !== null);
  const nats = scored.reduce((sum, token) => sum + (token.nats ?? 0), 0);
  const bytes = Buffer.concat(scored.map((token) => token.bytes));
  return sums({ nats, tokens: scored.length, characters: charactersOf(bytes).length, bytes: bytes.length });
}

export function totalOf(parts: readonly ScoreSums[]): ScoreSums {
  const sum = (of: (part: ScoreSums) => number) => parts.reduce((total, part) => total + of(part), 0);
  return sums({
    nats: sum((part) => part.nats),
    tokens: sum((part) => part.tokens_scored),
    characters: sum((part) => part.characters_scored),
    bytes: sum((part) => part.bytes_scored),
  });
}

function sums(counts: { nats: number; tokens: number; characters: number; bytes: number }): ScoreSums {
  const { nats, tokens, characters, bytes } = counts;
  const bits = nats / Math.LN2;
  const loss = tokens === 0 ? null : nats / tokens;
  return {
    loss,
    perplexity: loss === null ? null : Math.exp(loss),
    nats,
    bits,
    bits_per_character: characters === 0 ? null : bits / characters,
    bits_per_byte: bytes === 0 ? null : bits / bytes,
    tokens_scored: tokens,
    characters_scored: characters,
    bytes_scored: bytes,
  };
}

function surprisal(nats: number | null): { nats: number | null; bits: number | null } {
  return { nats, bits: nats === null ? null : nats / Math.LN2 };
}

const REPLACEMENT = Buffer.from('\ufffd');

/** Code points; a byte that is part of none counts as one, shown as U+FFFD. */
function charactersOf(bytes: Buffer): Character[] {
  const characters: Character[] = [];
  for (let start = 0, end = 0; start < bytes.length; start = end) {
    const text = bytes.toString('utf8', start, start + lengthFrom(bytes[start] ?? 0));
    const [first = ''] = text;
    const isBroken = first === '\ufffd' && !bytes.subarray(start, start + 3).equals(REPLACEMENT);
    end = start + (isBroken ? 1 : Buffer.byteLength(first));
    characters.push({ text: first, start, end });
  }
  return characters;
}

function lengthFrom(leadingByte: number): number {
  if (leadingByte >= 0xf0) return 4;
  if (leadingByte >= 0xe0) return 3;
  return leadingByte >= 0xc0 ? 2 : 1;
}
