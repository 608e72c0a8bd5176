/**
 * Both sides of the split encoded, with one max_length. What it is when nobody says so is decided here: only now are all lengths known.
 */
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { CollectedSides } from '../collect/collect-sides.ts';
import type { Rejections } from '../collect/rejections.ts';
import type { Dataset } from '../dataset-file.ts';
import { type PreflightLimits, requireFewCut, requireFitting } from '../preflight.ts';
import type { PrepareRequest } from '../prepare-request.ts';
import type { TextSide } from '../text-side.ts';
import { type LengthSummary, suggestMaxLength, summarizeLengths } from '../token-lengths.ts';
import { type UnknownCharacters, UnknownTally } from '../unknown-characters.ts';
import { type EncodedSide, encodeSide } from './encode-side.ts';
import { recutDataset } from './recut-dataset.ts';

export interface EncodedSides {
  readonly train: Dataset;
  /** Null when nothing is held out. */
  readonly validation: Dataset | null;
  /** Of the examples that are trained, before they were cut. */
  readonly lengths: Uint32Array;
  readonly summary: LengthSummary;
  readonly endless: number;
  readonly unknown: UnknownCharacters | null;
}

interface EncodeSidesOptions {
  readonly folder: string;
  readonly source: Dataset['source'];
  readonly rejections: Rejections;
  readonly limits: PreflightLimits;
  readonly request: PrepareRequest;
  readonly text: TextSide;
}

/** AppError: too many would be cut, nothing is left, or the tokenizer is not the model's. */
export async function encodeSides(collected: CollectedSides, options: EncodeSidesOptions): Promise<EncodedSides> {
  const { folder, source, limits, request, rejections } = options;
  const { kind, sides } = collected;
  const totalBytes = sides.train.bytes + sides.validation.bytes;
  const unknown = new UnknownTally();
  let bytes = 0;
  const encode = async (side: 'train' | 'validation', maxLength: number | null): Promise<EncodedSide> => {
    const encoded = await encodeSide(sides[side], {
      folder: join(folder, side),
      shape: { kind, vocabularySize: limits.vocabularySize, maxLength },
      source,
      thread: { text: request.text, template: request.data.template },
      text: options.text,
      signal: request.signal,
      onBytes: (added) => {
        bytes += added;
        request.onProgress?.('encoding', Math.min(1, bytes / totalBytes), { bytes, totalBytes });
      },
      unknown,
      onRejected: (place, reason) => rejections.add({ ...place, reason }),
    });
    await rejections.flush();
    requireFitting(encoded.highestId, limits.vocabularySize);
    return encoded;
  };

  const recut = async ({ dataset, lengths, placeOf }: EncodedSide, maxLength: number): Promise<Dataset> => {
    const uncut = join(folder, 'train.uncut');
    await rename(join(folder, 'train'), uncut);
    const result = await recutDataset({
      folder: uncut,
      dataset,
      lengths,
      to: join(folder, 'train'),
      maxLength,
      onDropped: (index) =>
        rejections.add({ ...placeOf(index), reason: `no token that is trained is among the first ${maxLength}` }),
    });
    await rm(uncut, { recursive: true });
    await rejections.flush();
    return result;
  };

  const { contextLength } = limits;
  const mostTokens = kind === 'stream' ? null : limits.maxLength === 'auto' ? contextLength : limits.maxLength;
  const encoded = await encode('train', mostTokens);
  const summary = summarizeLengths(encoded.lengths);
  if (!summary) {
    throw new AppError(
      'invalid_source',
      `no example is left to train on: ${rejections.first[0]?.reason ?? 'there is none'}`,
    );
  }
  let train = encoded.dataset;
  let maxLength = mostTokens;
  if (kind === 'examples') {
    requireFewCut(encoded.lengths, limits, encoded.dropped);
    if (limits.maxLength === 'auto') {
      maxLength = suggestMaxLength(summary, contextLength);
      train = await recut(encoded, maxLength);
    }
  }
  const validation = sides.validation.examples === 0 ? null : await encode('validation', maxLength);
  if (validation === null || validation.dataset.examples === 0)
    await rm(join(folder, 'validation'), { recursive: true, force: true });
  return {
    train,
    validation: validation?.dataset.examples ? validation.dataset : null,
    lengths: encoded.lengths,
    summary,
    endless: encoded.endless + (validation?.endless ?? 0),
    unknown: unknown.summary(),
  };
}
