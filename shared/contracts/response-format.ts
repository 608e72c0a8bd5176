/**
 * What form an answer must have: any text, JSON, JSON of a schema, text of a regular expression, or calls of tools. Knows nothing of how
 * that is brought about.
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

export type JsonForm = Extract<ResponseFormat, { readonly type: 'json_object' | 'json_schema' }>;

/** One call of a tool, as a model writes it: what stands before and behind its arguments, and their JSON schema. */
export interface CallForm {
  readonly name: string;
  readonly before: string;
  readonly schema: Readonly<Record<string, unknown>>;
  readonly after: string;
}

/** Calls of tools: at least one, at most so many. No client asks for it in these words. */
export interface CallsForm {
  readonly type: 'tool_calls';
  readonly open: string;
  readonly calls: readonly CallForm[];
  readonly separator: string;
  readonly close: string;
  readonly most: number;
  /** What else it may be. */
  readonly otherwise?: JsonForm | undefined;
}

/** What an answer can be held to. */
export type AnswerForm = ResponseFormat | CallsForm;
