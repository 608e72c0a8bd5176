/** The adapter fixtures for tests: see tests/fixtures/adapters/README.md. */
import { readFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const FOLDER = new URL('../../../../../tests/fixtures/adapters/', import.meta.url);

export const ADAPTERS = [
  'llama-lora',
  'llama-rslora-patterns',
  'llama-dora',
  'llama-save-head-tied',
  'llama-save-both-bin',
  'llama-resized',
  'llama-resized-tied',
  'llama-embedding',
  'llama-embedding-tied',
  'llama-embedding-ensured-tied',
  'llama-bias',
  'gpt2-lora',
  'gpt2-dora-bias',
  'gpt2-embedding-dora',
] as const;
export type AdapterName = (typeof ADAPTERS)[number];

const Golden = z.object({
  base: z.string(),
  token_ids: z.array(z.number()),
  vocab: z.number(),
  greedy: z.array(z.number()),
  tensors: z.record(z.string(), z.object({ shape: z.array(z.number()), sum: z.number(), wave: z.number() })),
});

/** `logits`: one [vocab] row for each of `token_ids`, of the adapted model; `tensors`: of the merged one, where that is the same. */
export type AdapterGolden = z.infer<typeof Golden> & {
  readonly folder: string;
  readonly logits: readonly Float32Array[];
};

export async function readAdapter(name: AdapterName): Promise<AdapterGolden> {
  const folder = new URL(`${name}/`, FOLDER);
  const golden = Golden.parse(JSON.parse(await readFile(new URL('golden.json', folder), 'utf8')));
  const bytes = await readFile(new URL('logits.f32', folder));
  if (endianness() !== 'LE') bytes.swap32();
  const values = new Float32Array(new Uint8Array(bytes).buffer);
  const logits = golden.token_ids.map((_, row) => values.slice(row * golden.vocab, (row + 1) * golden.vocab));
  return { ...golden, folder: fileURLToPath(folder), logits };
}
