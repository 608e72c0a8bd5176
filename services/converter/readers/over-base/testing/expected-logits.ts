/** What PyTorch computed for a fixture: golden.json and logits.f32 beside each other. */
import { readFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import { z } from 'zod';

const Sums = z.object({ shape: z.array(z.number()), sum: z.number(), wave: z.number() });
const Golden = z.object({
  base: z.string(),
  source: z.string().optional(),
  token_ids: z.array(z.number()),
  vocab: z.number(),
  greedy: z.array(z.number()),
  tensors: z.record(z.string(), Sums).default({}),
});

/** `logits`: one [vocab] row for each of `token_ids`; `tensors`: sums of what the model's tensors hold, where they are told. */
export async function readExpected(folder: URL) {
  const golden = Golden.parse(JSON.parse(await readFile(new URL('golden.json', folder), 'utf8')));
  const bytes = await readFile(new URL('logits.f32', folder));
  if (endianness() !== 'LE') bytes.swap32();
  const values = new Float32Array(new Uint8Array(bytes).buffer);
  const logits = golden.token_ids.map((_, row) => values.slice(row * golden.vocab, (row + 1) * golden.vocab));
  return { ...golden, logits };
}
