/**
 * What OpenAI's answers share: their count of tokens, and the shape of their errors.
 */
import { z } from 'zod';

export const TokenUsage = z.object({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
  prompt_tokens_details: z.object({ cached_tokens: z.int() }),
});
export type TokenUsage = z.infer<typeof TokenUsage>;

export const OpenAiError = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    code: z.string().nullable(),
    param: z.string().nullable(),
  }),
});
export type OpenAiError = z.infer<typeof OpenAiError>;
