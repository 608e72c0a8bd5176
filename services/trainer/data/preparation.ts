/**
 * What preparing found and made: preparation.json beside the prepared folders, from which it is also known whether anything changed.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { DATASET_FILE, Dataset } from './dataset-file.ts';
import { UnknownCharacters } from './unknown-characters.ts';

export const PREPARATION_FILE = 'preparation.json';

const Lengths = z.object({
  count: z.number(),
  shortest: z.number(),
  median: z.number(),
  p90: z.number(),
  p99: z.number(),
  longest: z.number(),
});

/** An example with the ids and mask it was given, for the kernel to check against its own tokenizer. */
const VerifySample = z.looseObject({ ids: z.array(z.number()), mask: z.array(z.number()) });
export type VerifySample = z.infer<typeof VerifySample>;

export const Preparation = z.object({
  schema: z.literal(1),
  fingerprint: z.string().describe('names every input: files, options, tokenizer, template'),
  kind: z.enum(['stream', 'examples']),
  format: z.string(),
  files: z.array(
    z.object({
      file: z.string(),
      type: z.string(),
      isGzipped: z.boolean(),
      formats: z.record(z.string(), z.number()),
      examples: z.number(),
      duplicates: z.number(),
      rejected: z.number(),
    }),
  ),
  multiplied: z
    .object({ repeated: z.number(), unused: z.number(), changed: z.number() })
    .describe('by the weights of files: trained once more, and not at all; by data.augment: changed copies'),
  rejected: z.number().describe('all of them stand in rejected.jsonl'),
  reasons: z
    .array(
      z.object({
        reason: z.string(),
        count: z.number(),
        places: z.array(z.object({ file: z.string(), line: z.number() })),
      }),
    )
    .describe('of rejections, the most frequent first; the same with other numbers is the same'),
  unknown_characters: UnknownCharacters.nullable().describe('of train and validation; null: the tokenizer knows all'),
  lengths: Lengths.describe('tokens per example, before anything was cut'),
  suggested_max_length: z.number(),
  stop_ids: z.array(z.number()),
  chat_template: z.string().nullable(),
  verify: z.array(VerifySample),
  train: Dataset,
  validation: Dataset.nullable(),
});
export type Preparation = z.infer<typeof Preparation>;

/** That what was prepared is no conversation, though the model has a template for them; null where that is not so. */
export function describeUntemplated({ verify, chat_template }: Pick<Preparation, 'verify' | 'chat_template'>) {
  if (chat_template === null || !verify.some((example) => 'prompt' in example)) return null;
  return 'prompts and completions are learnt as they stand, without the chat template by which the model is asked in chats; to teach it answers there, map them: data.columns: { question: prompt, answer: completion }';
}

/** The preparation in a folder when it is whole and was made of the same; otherwise undefined. */
export async function findPreparation(folder: string, fingerprint: string): Promise<Preparation | undefined> {
  const text = await readFile(join(folder, PREPARATION_FILE), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const parsed = Preparation.safeParse(JSON.parse(text));
  if (!parsed.success || parsed.data.fingerprint !== fingerprint) return undefined;
  for (const [side, dataset] of [
    ['train', parsed.data.train],
    ['validation', parsed.data.validation],
  ] as const) {
    if (dataset && !(await isWhole(join(folder, side), dataset))) return undefined;
  }
  return parsed.data;
}

/** By sizes: the folder was put in place whole. */
async function isWhole(folder: string, { dtype, tokens, examples }: Dataset): Promise<boolean> {
  const sizes = await Promise.all(
    ['tokens.bin', 'offsets.bin', DATASET_FILE].map((name) =>
      stat(join(folder, name)).then(
        ({ size }) => size,
        () => -1,
      ),
    ),
  );
  return sizes[0] === tokens * (dtype === 'uint16' ? 2 : 4) && sizes[1] === (examples + 1) * 8 && sizes[2] !== -1;
}
