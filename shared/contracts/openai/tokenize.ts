/**
 * What `/tokenize`, `/detokenize` and `/tokenizer_info` take and give, as vLLM has it.
 */
import { z } from 'zod';
import { RENDERING_FIELDS } from './chat.ts';
import { isTokenIds } from './request-fields.ts';

const model = z.string().min(1).max(200).optional();

/** A text, or a conversation as a chat would render it. */
export const TokenizeRequest = z.object({
  ...RENDERING_FIELDS,
  model,
  prompt: z.string().optional(),
  messages: RENDERING_FIELDS.messages.optional(),
  add_special_tokens: z.boolean().optional(),
  return_token_strs: z.boolean().default(false),
});
export type TokenizeRequest = z.infer<typeof TokenizeRequest>;

export const TokenizeAnswer = z.object({
  count: z.int(),
  max_model_len: z.int(),
  tokens: z.array(z.int()),
  token_strs: z.array(z.string()).nullable(),
});
export type TokenizeAnswer = z.infer<typeof TokenizeAnswer>;

export const DetokenizeRequest = z.object({
  model,
  tokens: z
    .custom<readonly number[]>(isTokenIds, { error: 'must be an array of token ids' })
    .meta({ type: 'array', items: { type: 'integer', minimum: 0 } }),
});

export const DetokenizeAnswer = z.object({ prompt: z.string() });
export type DetokenizeAnswer = z.infer<typeof DetokenizeAnswer>;

export const TokenizerInfo = z.object({
  tokenizer_class: z.string(),
  model_max_length: z.int(),
  vocab_size: z.int(),
  bos_token: z.string().nullable(),
  eos_token: z.string().nullable(),
  eos_token_ids: z.array(z.int()),
  add_bos_token: z.boolean(),
  chat_template: z.string().nullable(),
});
export type TokenizerInfo = z.infer<typeof TokenizerInfo>;
