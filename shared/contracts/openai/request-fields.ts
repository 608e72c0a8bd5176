/**
 * The fields that OpenAI's completions and chat share, and those that vLLM adds to both. Knows nothing of prompts and messages.
 */
import { z } from 'zod';

const STOP_STRINGS = 16;
const STOP_LENGTH = 512;
const LISTED = 64;
const BIASED_TOKENS = 1024;
/** Of an array that is too long, or whose entries are wrong, one thing is said, not one per entry. */
const text = z.string().min(1).max(STOP_LENGTH);

function texts(most: number) {
  const error = `must be a string or up to ${most} strings of 1 to ${STOP_LENGTH} characters`;
  const isList = (value: unknown) =>
    Array.isArray(value) && value.length <= most && value.every((one) => text.safeParse(one).success);
  return z
    .custom<string | readonly string[]>((value) => isList(value) || text.safeParse(value).success, { error })
    .meta({ anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string', minLength: 1 }, maxItems: most }] })
    .transform((value) => (typeof value === 'string' ? [value] : value));
}

export function isTokenIds(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((id) => Number.isSafeInteger(id) && id >= 0);
}

function isLogitBias(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const entries = Object.entries(value);
  return (
    entries.length <= BIASED_TOKENS &&
    entries.every(([id, bias]) => /^\d{1,9}$/.test(id) && typeof bias === 'number' && Math.abs(bias) <= 100)
  );
}

export const REQUEST_FIELDS = {
  model: z.string().min(1).max(200).optional(),
  temperature: z.number().min(0).max(2).default(1),
  top_p: z.number().min(0).max(1).default(1),
  n: z.int().min(1).max(10).default(1),
  seed: z.int().optional(),
  stop: texts(STOP_STRINGS).optional(),
  stream: z.boolean().default(false),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).optional(),
  presence_penalty: z.number().min(-2).max(2).default(0),
  frequency_penalty: z.number().min(-2).max(2).default(0),
  logit_bias: z
    .custom<Readonly<Record<string, number>>>(isLogitBias, {
      error: `must be an object of up to ${BIASED_TOKENS} token ids, each with a number from -100 to 100`,
    })
    .meta({
      type: 'object',
      propertyNames: { pattern: '^[0-9]{1,9}$' },
      additionalProperties: { type: 'number', minimum: -100, maximum: 100 },
    })
    .optional(),
  user: z.string().optional(),
  /** From here on vLLM's. -1 and 0 turn top_k off. */
  top_k: z.int().min(-1).max(1_000_000).default(0),
  min_p: z.number().min(0).max(1).default(0),
  repetition_penalty: z.number().min(0.1).max(10).default(1),
  ignore_eos: z.boolean().default(false),
  min_tokens: z.int().min(0).default(0),
  stop_token_ids: z
    .custom<readonly number[]>((value) => isTokenIds(value) && value.length <= LISTED, {
      error: `must be an array of up to ${LISTED} token ids`,
    })
    .meta({ type: 'array', items: { type: 'integer', minimum: 0 }, maxItems: LISTED })
    .optional(),
  bad_words: texts(LISTED).optional(),
  prompt_logprobs: z.int().min(0).max(20).optional(),
  truncation: z.enum(['auto', 'disabled']).default('disabled'),
  /** And ours. */
  think_penalty: z.number().min(0).max(100).default(0),
  post_stop: texts(STOP_STRINGS).optional(),
  post_stop_penalty: z.number().min(0).max(100).default(5),
} as const;

export type SharedFields = z.infer<z.ZodObject<typeof REQUEST_FIELDS>>;
