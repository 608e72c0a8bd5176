/**
 * The golden fixtures for tests: small checkpoints with the logits and greedy tokens PyTorch computed from them.
 * What each case is for is said in tests/fixtures/golden/README.md.
 */
import { readFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const FOLDER = new URL('../../../tests/fixtures/golden/', import.meta.url);

export const GOLDEN_FOLDERS = [
  'llama-plain',
  'llama-grouped-tied',
  'llama-one-kv-head',
  'llama-bias',
  'llama-rope-llama3',
  'llama-rope-linear-sharded',
  'llama-head-dim-8',
  'gpt2',
  'gpt2-bare-odd-heads',
  'qwen2-yarn',
  'qwen2-window',
  'qwen3',
  'qwen3-bias-tied',
  'mistral-window',
  'phi',
  'phi-odd-heads',
  'phi3-window',
  'phi3-longrope',
  'phi3-longrope-short',
  'gemma3',
  'gemma3-older',
  'gpt2-dialogpt',
] as const;

export const GOLDEN_GGUFS = ['gguf-llama-f16', 'gguf-llama-q8_0', 'gguf-gpt2-q8_0'] as const;

/** Recurrent models: other graphs and another layout than the rest. */
export const GOLDEN_RECURRENT = ['char-lstm', 'char-lstm-tied', 'char-lstm-odd'] as const;

export type GoldenName =
  | (typeof GOLDEN_FOLDERS)[number]
  | (typeof GOLDEN_GGUFS)[number]
  | (typeof GOLDEN_RECURRENT)[number];

export interface Golden {
  readonly about: string;
  /** Positions of a version that computes what these logits are; null: those of its configuration. */
  readonly served: number | null;
  /** Path of the Hugging Face folder or GGUF file. */
  readonly source: string;
  readonly tokenIds: readonly number[];
  /** One [vocab] row for each of `tokenIds`. */
  readonly logits: readonly Float32Array[];
  /** The greedy continuation of `tokenIds`, EOS taken as any token. */
  readonly greedy: readonly number[];
  /** Best minus second logit at each greedy step: below it an error cannot change the token. */
  readonly margins: readonly number[];
}

const goldenSchema = z.object({
  about: z.string(),
  served_context: z.number().optional(),
  source: z.string(),
  token_ids: z.array(z.number()),
  vocab: z.number(),
  greedy: z.array(z.number()),
  margins: z.array(z.number()),
});

export async function readGolden(name: GoldenName): Promise<Golden> {
  const folder = new URL(`${name}/`, FOLDER);
  const golden = goldenSchema.parse(JSON.parse(await readFile(new URL('golden.json', folder), 'utf8')));
  const bytes = await readFile(new URL('logits.f32', folder));
  if (endianness() !== 'LE') bytes.swap32();
  const values = new Float32Array(new Uint8Array(bytes).buffer);
  return {
    about: golden.about,
    served: golden.served_context ?? null,
    source: fileURLToPath(new URL(golden.source, folder)),
    tokenIds: golden.token_ids,
    logits: golden.token_ids.map((_, row) => values.slice(row * golden.vocab, (row + 1) * golden.vocab)),
    greedy: golden.greedy,
    margins: golden.margins,
  };
}

/** The largest |a - b| over all rows; Infinity when a number is missing or not finite. */
export function largestError(actual: readonly Float32Array[], expected: readonly Float32Array[]): number {
  if (actual.length !== expected.length) return Infinity;
  let largest = 0;
  expected.forEach((row, index) => {
    const other = actual[index];
    if (other?.length !== row.length) largest = Infinity;
    row.forEach((value, column) => {
      const error = Math.abs(value - (other?.[column] ?? Number.NaN));
      largest = Number.isNaN(error) ? Infinity : Math.max(largest, error);
    });
  });
  return largest;
}
