/**
 * What `POST /tokenizers/train` takes. Parses it and says in words what is wrong with it.
 */
import {
  absent,
  type Field,
  flag,
  integer,
  parseFields,
  type ValuesOf,
} from '@slipway/shared/contracts/request-fields.ts';
import { z } from 'zod';
import { TOKENIZER_KINDS } from '../../tokenizers/statistics.ts';

const SOURCE = z.string().min(1).max(1000);
const MOST_SOURCES = 1000;
const MOST_TOKENS = 256;
const token = z.string().min(1).max(64);
const NAMED = { schema: token.or(absent(undefined)), allowed: 'a token of letters between signs: <s>' };

export const TOKENIZER_FIELDS = {
  data: {
    schema: z.union([SOURCE.transform((one) => [one]), z.array(SOURCE).min(1).max(MOST_SOURCES)]),
    allowed: 'the id of a file that was sent, a path or pattern below DATA_ROOTS, or an array of such',
  },
  kind: { schema: z.enum(TOKENIZER_KINDS).or(absent('bpe' as const)), allowed: `one of ${TOKENIZER_KINDS.join(', ')}` },
  vocabulary_size: integer(8, 1_000_000, undefined),
  holdout: { schema: z.number().min(0).max(0.5).or(absent(undefined)), allowed: 'a number from 0 to 0.5' },
  bos: NAMED,
  eos: NAMED,
  pad: NAMED,
  chat: flag(false),
  special_tokens: {
    schema: z.array(token).max(MOST_TOKENS).or(absent<readonly string[]>([])),
    allowed: `an array of up to ${MOST_TOKENS} tokens`,
  },
  seed: integer(0, 2 ** 31 - 1, 1),
} as const satisfies Record<string, Field<unknown>>;

export type TokenizerFields = ValuesOf<typeof TOKENIZER_FIELDS>;

/** AppError invalid_field. */
export function parseTokenizerRequest(body: unknown): TokenizerFields {
  return parseFields(body, TOKENIZER_FIELDS, 'data', ({ kind, vocabulary_size }) =>
    kind !== 'character' && vocabulary_size === undefined
      ? [`vocabulary_size must be given for a tokenizer of kind ${kind}`]
      : [],
  );
}
