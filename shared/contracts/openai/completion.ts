/**
 * What `POST /v1/completions` takes and gives, as OpenAI and vLLM have it. Knows nothing of how an answer is made.
 */
import { z } from 'zod';
import { TokenUsage } from './answer-parts.ts';
import { OUTPUT_FORMAT_FIELDS } from './output-format.ts';
import { isTokenIds, REQUEST_FIELDS } from './request-fields.ts';

const PROMPTS = 256;
export type Prompt = string | readonly number[];

const tokenIds = { type: 'array', items: { type: 'integer', minimum: 0 } };

/** A text, texts, token ids, or several of those; always a list. An empty array is one prompt without tokens. */
const Prompts = z
  .custom<unknown>((value) => promptsIn(value) !== undefined, {
    error: `must be a string, an array of token ids, or an array of up to ${PROMPTS} of either`,
  })
  .meta({
    anyOf: [
      { type: 'string' },
      tokenIds,
      { type: 'array', items: { type: 'string' }, maxItems: PROMPTS },
      { type: 'array', items: tokenIds, maxItems: PROMPTS },
    ],
  })
  .transform((value) => promptsIn(value) ?? []);

function promptsIn(value: unknown): readonly Prompt[] | undefined {
  if (typeof value === 'string') return [value];
  if (isTokenIds(value)) return [value];
  if (!Array.isArray(value) || value.length > PROMPTS) return undefined;
  const isPrompt = (one: unknown) => typeof one === 'string' || isTokenIds(one);
  return value.every(isPrompt) ? value : undefined;
}

export const CompletionRequest = z.object({
  ...REQUEST_FIELDS,
  ...OUTPUT_FORMAT_FIELDS,
  prompt: Prompts,
  max_tokens: z.int().min(0).default(16),
  logprobs: z.int().min(0).max(20).optional(),
  echo: z.boolean().default(false),
  best_of: z.int().min(1).max(10).optional(),
  suffix: z.literal('', { error: 'is not supported: these models continue a text, they fill no gaps' }).optional(),
  add_special_tokens: z.boolean().default(true),
});
export type CompletionRequest = z.infer<typeof CompletionRequest>;

const CompletionLogprobs = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number().nullable()),
  top_logprobs: z.array(z.record(z.string(), z.number()).nullable()),
  /** In characters (Unicode code points) of `text`. */
  text_offset: z.array(z.int()),
});
export type CompletionLogprobs = z.infer<typeof CompletionLogprobs>;

/** vLLM's: of each token of the prompt, by token id. */
export const PromptLogprobs = z.array(
  z
    .record(z.string(), z.object({ logprob: z.number(), rank: z.int().nullable(), decoded_token: z.string() }))
    .nullable(),
);
export type PromptLogprobs = z.infer<typeof PromptLogprobs>;

const CompletionChoice = z.object({
  index: z.int(),
  text: z.string(),
  logprobs: CompletionLogprobs.nullable(),
  /** Null in a stream, until the end. */
  finish_reason: z.enum(['stop', 'length']).nullable(),
  prompt_logprobs: PromptLogprobs.optional(),
});
export type CompletionChoice = z.infer<typeof CompletionChoice>;

/** Of a stream, every event is one as well. */
export const Completion = z.object({
  id: z.string(),
  object: z.literal('text_completion'),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string(),
  choices: z.array(CompletionChoice),
  usage: TokenUsage.nullish(),
});
export type Completion = z.infer<typeof Completion>;
