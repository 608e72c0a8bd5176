/**
 * A look at a sample of the examples before all of them are encoded: what would make a training worthless is told in a second, not after
 * an hour. Pure but for the tokenizer.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { type Example, parseExample } from './canonical.ts';
import { type EncodedExample, encodeExample } from './encode/encode-example.ts';
import type { TextSide } from './text-side.ts';
import { countLonger, type LengthSummary, suggestMaxLength, summarizeLengths, whyTooManyCut } from './token-lengths.ts';

export interface Preflight {
  readonly lengths: LengthSummary;
  readonly suggestedMaxLength: number;
  readonly encoded: readonly EncodedExample[];
}

export interface PreflightLimits {
  readonly maxLength: number | 'auto';
  /** Share of examples that may be cut. */
  readonly truncated: number;
  /** Tokens the model takes. */
  readonly contextLength: number;
  /** Rows of the model's embedding. */
  readonly vocabularySize: number;
}

/** `sample`: lines of canonical JSON. AppError says what is wrong with the examples and what to set. */
export function preflight(sample: readonly string[], side: TextSide, limits: PreflightLimits): Preflight {
  if (sample.length === 0) {
    throw new AppError(
      'invalid_source',
      'nothing is left of data.train to train on: what data.validation holds out is not trained on, be it a share of few examples or the same ones in files of their own',
    );
  }
  requireStopToken(side, sample.map(parseExample));
  const outcomes = sample.map((line) => encodeExample(parseExample(line), side));
  const encoded = outcomes.flatMap((outcome) => outcome.encoded);
  const lengths = summarizeLengths(encoded.map(({ ids }) => ids.length));
  if (!lengths) {
    const reason = outcomes.flatMap(({ rejected }) => rejected)[0] ?? 'there is none';
    throw new AppError('invalid_source', `none of ${sample.length} examples looked at can be trained: ${reason}`);
  }
  requireEnds(encoded.filter(({ isEndless }) => isEndless).length, encoded.length, side);
  requireFitting(
    Math.max(...encoded.map(({ ids }) => ids.reduce((highest, id) => Math.max(highest, id), 0))),
    limits.vocabularySize,
  );
  const suggestedMaxLength = suggestMaxLength(lengths, limits.contextLength);
  const isStream = encoded.every(({ mask }) => mask === null);
  if (!isStream)
    requireFewCut(
      encoded.map(({ ids }) => ids.length),
      limits,
    );
  return { lengths, suggestedMaxLength, encoded };
}

/** AppError invalid_field: more would be cut than is allowed. `dropped`: examples that were left out for their length beside these. */
export function requireFewCut(lengths: readonly number[] | Uint32Array, limits: PreflightLimits, dropped = 0): void {
  const summary = summarizeLengths(lengths);
  if (!summary) return;
  const { truncated: allowed, contextLength } = limits;
  const maxLength = limits.maxLength === 'auto' ? suggestMaxLength(summary, contextLength) : limits.maxLength;
  const cut = countLonger(lengths, maxLength) + dropped;
  const count = lengths.length + dropped;
  const why = whyTooManyCut(summary, { cut, count, maxLength, allowed, contextLength });
  if (why !== undefined) throw new AppError('invalid_field', why);
}

/** AppError invalid_field: the model would never learn to end an answer. */
export function requireEnds(endless: number, count: number, side: TextSide): void {
  if (endless === 0) return;
  const stops = side.stopIds.map((id) => side.tokenizer.pieceOf(id)).join(', ') || 'none';
  throw new AppError(
    'invalid_field',
    `${endless} of ${count} examples have an answer that no stop token ends, so that the model would never learn to stop; the model stops at ${stops}: choose a data.template that writes one behind each answer, or set eos_token_id in the model's generation_config.json to what its template writes`,
  );
}

/** AppError invalid_source: the tokenizer is not this model's. */
export function requireFitting(highestId: number, vocabularySize: number): void {
  if (highestId < vocabularySize) return;
  throw new AppError(
    'invalid_source',
    `the tokenizer makes the token id ${highestId}, and the model's vocabulary ends at ${vocabularySize - 1}: they are not of one model`,
  );
}

function requireStopToken(side: TextSide, examples: readonly Example[]): void {
  if (side.stopIds.length > 0 || examples.every((example) => 'text' in example)) return;
  throw new AppError(
    'invalid_field',
    'the model has no token that ends a text, so that it could never learn to stop: set eos_token in its tokenizer_config.json',
  );
}
