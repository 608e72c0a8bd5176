/**
 * The prepared folder that the kernel trains on: what lies in it and what dataset.json says. Shared by those who write and read it.
 */
import { z } from 'zod';

export const DATASET_FILE = 'dataset.json';

export const Dataset = z.object({
  schema: z.literal(1),
  kind: z.enum(['stream', 'examples']).describe('documents one behind the other, or examples that stand alone'),
  dtype: z.enum(['uint16', 'uint32']).describe('of tokens.bin, little-endian'),
  tokens: z.number().int(),
  examples: z.number().int().describe('lines of examples.jsonl; offsets.bin has one entry more'),
  supervised_tokens: z.number().int().describe('tokens that are targets; without mask.bin all are'),
  vocabulary_size: z.number().int(),
  max_length: z.number().int().nullable().describe('no example has more tokens; null for a stream'),
  truncated: z.number().int().describe('examples that were cut to max_length'),
  sha256: z.record(z.string(), z.string()),
  source: z.object({
    format: z.string(),
    template: z.string(),
    template_sha256: z.string().nullable(),
    tokenizer_sha256: z.string(),
    seed: z.number().int(),
    files: z.array(z.object({ name: z.string(), bytes: z.number().int(), sha256: z.string() })),
  }),
});
export type Dataset = z.infer<typeof Dataset>;
