/**
 * What `POST /score` takes and gives. Parses a request and says in words what is wrong with it. Knows nothing of how a text is scored.
 */
import { z } from 'zod';
import type { OutputLogprobs } from './generate.ts';
import { absent, type Field, flag, integer, parseFields, TOKEN_IDS_META, type ValuesOf } from './request-fields.ts';

/** Encoding a text blocks everything else, and its answer grows with it. Longer ones are sent in pieces. */
const MOST_CHARACTERS = 65_536;
const MOST_TEXTS = 256;
const KINDS = ['token', 'character'] as const;

export type ScoredText = string | readonly number[];

const text: z.ZodType<ScoredText> = z.union([
  z.string().min(1),
  z.custom<readonly number[]>(isTokenIds).meta({ ...TOKEN_IDS_META, minItems: 1 }),
]);
const TEXT = 'a text or an array of token ids (integers from 0), not empty';

export const SCORE_FIELDS = {
  text: { schema: text.or(absent(undefined)), allowed: TEXT },
  texts: {
    schema: z
      .custom<readonly ScoredText[]>((value) => areTexts(value))
      .meta({
        type: 'array',
        items: {
          anyOf: [
            { type: 'string', minLength: 1 },
            { ...TOKEN_IDS_META, minItems: 1 },
          ],
        },
        minItems: 1,
        maxItems: MOST_TEXTS,
      })
      .or(absent<readonly ScoredText[] | undefined>(undefined)),
    allowed: `an array of 1 to ${MOST_TEXTS}, each ${TEXT}`,
  },
  prompt: { schema: z.string().or(absent(undefined)), allowed: 'a text' },
  completion: { schema: z.string().min(1).or(absent(undefined)), allowed: 'a text, not empty' },
  top_k: integer(0, 20, 0),
  per: { schema: z.enum(KINDS).or(absent<'token'>('token')), allowed: '"token" or "character"' },
  /** Only the sums. */
  aggregate: flag(false),
  /** By how many tokens the window over a long text moves. */
  stride: integer(1, 1_048_576, undefined),
  model: { schema: z.string().min(1).max(200).or(absent(undefined)), allowed: 'the name of a served model' },
} as const satisfies Record<string, Field<unknown>>;

export type ScoreFields = ValuesOf<typeof SCORE_FIELDS>;

export interface ScoreRequest extends Pick<ScoreFields, 'top_k' | 'per' | 'aggregate' | 'stride' | 'model'> {
  readonly texts: readonly ScoredText[];
  /** Bytes at the beginning of the one text that are given, not scored. */
  readonly givenBytes: number;
}

export function parseScoreRequest(body: unknown): ScoreRequest {
  const { text, texts, prompt, completion, ...rest } = parseFields(
    body,
    SCORE_FIELDS,
    'a text, texts, or a prompt and its completion',
    contradictions,
  );
  if (completion !== undefined) {
    const given = prompt ?? '';
    return { ...rest, texts: [given + completion], givenBytes: Buffer.byteLength(given.toWellFormed()) };
  }
  return { ...rest, texts: texts ?? (text === undefined ? [] : [text]), givenBytes: 0 };
}

function contradictions({ text, texts, prompt, completion, per, top_k, aggregate }: ScoreFields): string[] {
  const given = [text, texts, completion].filter((value) => value !== undefined);
  const characters = [text, ...(texts ?? []), prompt, completion].reduce<number>(
    (sum, one) => sum + (one?.length ?? 0),
    0,
  );
  return [
    ...(given.length === 1 ? [] : ['give one of text, texts, and prompt with completion']),
    ...(prompt !== undefined && completion === undefined ? ['prompt needs a completion, which is what is scored'] : []),
    ...(top_k > 0 && (per === 'character' || aggregate)
      ? ['top_k is told per token; leave out top_k, or per and aggregate']
      : []),
    ...(characters > MOST_CHARACTERS
      ? [`the texts have ${characters} characters (or ids), and may have ${MOST_CHARACTERS}; send them in pieces`]
      : []),
  ];
}

function areTexts(value: unknown): boolean {
  const { length } = Array.isArray(value) ? value : [];
  return length > 0 && length <= MOST_TEXTS && (value as unknown[]).every((one) => text.safeParse(one).success);
}

function isTokenIds(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every((id) => Number.isSafeInteger(id) && id >= 0);
}

/** Offsets are in UTF-8 bytes of the text; null where the tokenizer has changed the text so that nobody can tell. */
export interface TextSpan {
  readonly start: number | null;
  readonly end: number | null;
  /** -ln p and -log2 p; null for what nothing precedes. */
  readonly nats: number | null;
  readonly bits: number | null;
}

export interface TokenScore extends TextSpan {
  readonly token_id: number;
  readonly token: string;
  readonly top?: OutputLogprobs['top'];
}

export interface CharacterScore extends TextSpan {
  readonly character: string;
}

/** Over what was scored; null where nothing was. */
export interface ScoreSums {
  /** Mean of -ln p per token. */
  readonly loss: number | null;
  /** e to the loss. */
  readonly perplexity: number | null;
  readonly nats: number;
  readonly bits: number;
  readonly bits_per_character: number | null;
  readonly bits_per_byte: number | null;
  readonly tokens_scored: number;
  readonly characters_scored: number;
  readonly bytes_scored: number;
}

export interface TextScore extends ScoreSums {
  readonly index: number;
  readonly tokens?: readonly TokenScore[];
  readonly characters?: readonly CharacterScore[];
}

export interface ScoreAnswer {
  readonly id: string;
  readonly model: string;
  readonly results: readonly TextScore[];
  /** Over all texts: the loss is the mean of all tokens, not of the texts. */
  readonly total: ScoreSums;
  readonly window: { readonly length: number; readonly stride: number; readonly count: number };
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: 0 };
  readonly request_id: string;
  readonly system_fingerprint: string;
}
