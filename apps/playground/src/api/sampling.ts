/**
 * How the next token is chosen, as far as a reader of the page can set it.
 */
import * as z from 'zod/mini';

export const Sampling = z.object({
  temperature: z.number().check(z.minimum(0), z.maximum(2)),
  topP: z.number().check(z.gt(0), z.maximum(1)),
  /** 0: off. */
  topK: z.int().check(z.minimum(0)),
  minP: z.number().check(z.minimum(0), z.maximum(1)),
  repetitionPenalty: z.number().check(z.minimum(0.1), z.maximum(10)),
  maxTokens: z.int().check(z.minimum(1)),
  /** null: drawn by the service. */
  seed: z.nullable(z.int().check(z.minimum(0))),
  stop: z.array(z.string()),
});
export type Sampling = z.infer<typeof Sampling>;

export const DEFAULT_SAMPLING: Sampling = {
  temperature: 0.7,
  topP: 1,
  topK: 0,
  minP: 0,
  repetitionPenalty: 1,
  maxTokens: 256,
  seed: null,
  stop: [],
};
