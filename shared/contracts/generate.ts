/**
 * What `POST /generate` takes and gives. Parses a request and says in words what is wrong with it. Knows nothing of
 * how an answer is made.
 */
import { z } from 'zod';
import {
  absent,
  type Field,
  flag,
  integer,
  number,
  parseFields,
  TOKEN_IDS_META,
  type ValuesOf,
} from './request-fields.ts';
import { type AnswerForm, ResponseFormat } from './response-format.ts';

export interface GenerateLimits {
  readonly maxNewTokens: number;
  readonly defaultMaxNewTokens: number;
}

const STOP_STRINGS = 16;
const STOP_LENGTH = 512;
const MAX_SEED = Number.MAX_SAFE_INTEGER;
const STOP_TOKENS = 64;
const BAD_WORDS = 64;
const BIASED_TOKENS = 1024;
const stopString = z.string().min(1).max(STOP_LENGTH);

function strings(most: number, allowed: string): Field<readonly string[]> {
  return {
    schema: z
      .union([
        stopString.transform((one) => [one]),
        z
          .custom<readonly string[]>((value) => areStrings(value, most))
          .meta({ type: 'array', items: { type: 'string', minLength: 1, maxLength: STOP_LENGTH }, maxItems: most }),
      ])
      .or(absent<readonly string[]>([])),
    allowed,
  };
}

export function generateFields(limits: GenerateLimits) {
  return {
    prompt: {
      schema: z.union([z.string(), z.custom<readonly number[]>(isTokenIds).meta(TOKEN_IDS_META)]),
      allowed: 'a string or an array of token ids (integers from 0)',
    },
    max_new_tokens: {
      schema: z.number().int().min(0).max(limits.maxNewTokens).or(absent(limits.defaultMaxNewTokens)),
      allowed: `an integer from 1 to ${limits.maxNewTokens}`,
    },
    min_new_tokens: integer(0, limits.maxNewTokens, 0),
    temperature: number(0, 2, 0.7, 'a number from 0 (greedy) to 2'),
    top_k: integer(0, 1_000_000, 0),
    top_p: { schema: z.number().gt(0).max(1).or(absent(1)), allowed: 'a number above 0 and up to 1 (off)' },
    min_p: number(0, 1, 0, 'a number from 0 (off) to 1'),
    repetition_penalty: number(0.1, 10, 1, 'a number from 0.1 to 10 (1 is off)'),
    presence_penalty: number(-2, 2, 0, 'a number from -2 to 2 (0 is off)'),
    frequency_penalty: number(-2, 2, 0, 'a number from -2 to 2 (0 is off)'),
    /** Subtracted from the logits of what begins and ends a thought: <think>, </think>. */
    think_penalty: number(0, 100, 0, 'a number from 0 (off) to 100'),
    post_stop: strings(STOP_STRINGS, `a string or up to ${STOP_STRINGS} strings of 1 to ${STOP_LENGTH} characters`),
    /** Once one of `post_stop` has been generated: subtracted from every logit but those that end, for each token since. */
    post_stop_penalty: number(0, 100, 5, 'a number from 0 to 100'),
    logit_bias: {
      schema: z
        .custom<Readonly<Record<string, number>>>(isLogitBias)
        .meta({
          type: 'object',
          propertyNames: { pattern: '^[0-9]{1,9}$' },
          additionalProperties: { type: 'number', minimum: -100, maximum: 100 },
        })
        .or(absent<Readonly<Record<string, number>>>({})),
      allowed: `an object of up to ${BIASED_TOKENS} token ids, each with a number from -100 to 100`,
    },
    bad_words: strings(BAD_WORDS, `a string or up to ${BAD_WORDS} strings of 1 to ${STOP_LENGTH} characters`),
    seed: integer(0, MAX_SEED, undefined),
    stop: strings(STOP_STRINGS, `a string or up to ${STOP_STRINGS} strings of 1 to ${STOP_LENGTH} characters`),
    stop_token_ids: {
      schema: z
        .custom<readonly number[]>((value) => isTokenIds(value) && (value as unknown[]).length <= STOP_TOKENS)
        .meta({ ...TOKEN_IDS_META, maxItems: STOP_TOKENS })
        .or(absent<readonly number[]>([])),
      allowed: `an array of up to ${STOP_TOKENS} token ids`,
    },
    stop_on_eos: flag(true),
    ignore_eos: flag(false),
    num_return_sequences: integer(1, 10, 1),
    logprobs: integer(0, 20, undefined),
    /** Of every prompt token but the first; so many alternatives. */
    prompt_logprobs: integer(0, 20, undefined),
    response_format: {
      schema: ResponseFormat.or(absent(undefined)),
      allowed:
        '{"type": "text"}, {"type": "json_object"}, {"type": "json_schema", "json_schema": {"schema": {...}}} or {"type": "regex", "pattern": "..."}',
    },
    stream: flag(false),
    model: { schema: z.string().min(1).max(200).or(absent(undefined)), allowed: 'the name of a served model' },
  } as const satisfies Record<string, Field<unknown>>;
}

type GenerateFields = ValuesOf<ReturnType<typeof generateFields>>;
export type GenerateRequest = Omit<GenerateFields, 'response_format'> & {
  readonly response_format?: AnswerForm | undefined;
};

/** Parses a decoded JSON body. AppError invalid_field names every wrong field and its range. */
export function generateRequestParser(limits: GenerateLimits): (body: unknown) => GenerateRequest {
  const fields = generateFields(limits);
  return (body) =>
    parseFields(body, fields, 'a prompt', (values) =>
      values.max_new_tokens === 0 && values.prompt_logprobs === undefined
        ? [`max_new_tokens must be ${fields.max_new_tokens.allowed} (0 only with prompt_logprobs), but is 0`]
        : [],
    );
}

/** Their number first: a schema would tell an issue for each of a million. */
function areStrings(value: unknown, most: number): boolean {
  return Array.isArray(value) && value.length <= most && value.every((one) => stopString.safeParse(one).success);
}

function isLogitBias(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const entries = Object.entries(value);
  return (
    entries.length <= BIASED_TOKENS &&
    entries.every(([id, bias]) => /^\d{1,9}$/.test(id) && typeof bias === 'number' && Math.abs(bias) <= 100)
  );
}

/** Written out: a schema per element costs too much for a million of them. */
function isTokenIds(value: unknown): boolean {
  return Array.isArray(value) && value.every((id) => Number.isSafeInteger(id) && id >= 0);
}

export type GenerateFinishReason = 'eos' | 'stop' | 'length' | 'timeout' | 'cancelled';

export interface OutputLogprobs {
  readonly token_id: number;
  readonly token: string;
  readonly logprob: number;
  readonly top: readonly { readonly token_id: number; readonly token: string; readonly logprob: number }[];
}

/** In a stream `text`, `token_ids` and `logprobs` are what was added, and `finish_reason` is null until the end. */
export interface GenerateOutput {
  readonly index: number;
  readonly text: string;
  /** Every generated id, those of a stop string included, the id of EOS not. */
  readonly token_ids: readonly number[];
  readonly finish_reason: GenerateFinishReason | null;
  readonly logprobs?: readonly OutputLogprobs[];
}

export interface GenerateAnswer {
  readonly id: string;
  readonly model: string;
  /** The first output's. */
  readonly text: string;
  readonly outputs: readonly GenerateOutput[];
  /** One for each token of the prompt as it was computed, when asked for; null for the first, which nothing precedes. */
  readonly prompt_logprobs?: readonly (OutputLogprobs | null)[];
  readonly usage: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    /** True when the prompt lost its beginning because it was too long. */
    readonly prompt_truncated: boolean;
  };
  readonly timings: {
    readonly queue_ms: number;
    readonly time_to_first_token_ms: number | null;
    readonly total_ms: number;
    /** Completion tokens of all outputs, per second since the request left the queue. */
    readonly tokens_per_second: number;
    /** Tokens of the prompt that had already been computed for an earlier request. */
    readonly cached_prompt_tokens: number;
  };
  /** Given or drawn; the same request with this seed gives the same bytes under the same `system_fingerprint`. */
  readonly seed: number;
  readonly request_id: string;
  readonly system_fingerprint: string;
}

/**
 * A server-sent event without a name. The last one is `event: done` with a GenerateAnswer that repeats
 * no text and no ids, but all `logprobs`.
 */
export type GenerateDelta = Pick<GenerateAnswer, 'id' | 'model' | 'text' | 'outputs'>;
