/**
 * What form an answer must have: any text, JSON, JSON of a schema, or text of a regular expression. Knows nothing of how that is
 * brought about.
 */
import { z } from 'zod';

const LONGEST_PATTERN = 4096;

export const ResponseFormat = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object') }),
  z.object({
    type: z.literal('json_schema'),
    json_schema: z.object({
      name: z.string().optional(),
      description: z.string().optional(),
      schema: z.record(z.string(), z.unknown()),
      strict: z.boolean().nullish(),
    }),
  }),
  z.object({ type: z.literal('regex'), pattern: z.string().min(1).max(LONGEST_PATTERN) }),
]);
export type ResponseFormat = z.infer<typeof ResponseFormat>;
