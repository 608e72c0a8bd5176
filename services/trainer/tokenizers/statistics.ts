/**
 * What the kernel says of a tokenizer it has trained, as it stands in `statistics.json`. Shapes only; the kernel has the same in
 * slipway_kernel/tokenizers/statistics.py.
 */
import { z } from 'zod';

export const TOKENIZER_KINDS = ['bpe', 'sentencepiece-bpe', 'sentencepiece-unigram', 'character'] as const;
export type TokenizerKind = (typeof TOKENIZER_KINDS)[number];

const count = z.number().int().nonnegative();
const CountedPiece = z.object({ id: count, piece: z.string(), count });

export const TokenizerStatistics = z.object({
  kind: z.enum(TOKENIZER_KINDS),
  vocabulary_size: count,
  seed: z.number().int(),
  corpus: z.object({
    files: count,
    bytes: count,
    characters: count,
    /** Of what it was learnt from, where that is a sample of the files; null: all but the holdout. */
    sampled_bytes: count.nullable(),
  }),
  /** `training` where nothing was held out. */
  measured_on: z.enum(['holdout', 'training']),
  characters: count,
  words: count,
  tokens: count,
  tokens_per_character: z.number(),
  tokens_per_word: z.number(),
  /** Share of the characters that are neither unknown nor written in several bytes. */
  coverage: z.number(),
  /** Share of the tokens that are the unknown one. */
  oov_rate: z.number(),
  vocabulary_used: count,
  most_frequent: z.array(CountedPiece),
  longest: z.array(CountedPiece),
});
export type TokenizerStatistics = z.infer<typeof TokenizerStatistics>;
