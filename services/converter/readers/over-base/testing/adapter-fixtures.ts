/** The adapter fixtures for tests: see tests/fixtures/adapters/README.md. */
import { fileURLToPath } from 'node:url';
import { readExpected } from './expected-logits.ts';

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

/** `logits` are the adapted model's; `tensors` the merged model's, where that is the same. */
export async function readAdapter(name: AdapterName) {
  const folder = new URL(`${name}/`, FOLDER);
  return { ...(await readExpected(folder)), folder: fileURLToPath(folder) };
}
