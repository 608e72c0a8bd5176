/** The fixtures of training checkpoints for tests: see tests/fixtures/trained/README.md. */
import { fileURLToPath } from 'node:url';
import { readExpected } from './expected-logits.ts';

const FOLDER = new URL('../../../../../tests/fixtures/trained/', import.meta.url);
const GOLDEN = new URL('../../../../../tests/fixtures/golden/', import.meta.url);

export const TRAINED = ['ppo-actor-critic', 'trl-value-head', 'fsdp-shards', 'deepspeed-zero2'] as const;

/** `source`: the checkpoint's path; `basePath`: that of its base. */
export async function readTrained(name: (typeof TRAINED)[number]) {
  const folder = new URL(`${name}/`, FOLDER);
  const expected = await readExpected(folder);
  return {
    ...expected,
    source: fileURLToPath(new URL(expected.source ?? '', folder)),
    basePath: fileURLToPath(new URL(`${expected.base}/checkpoint`, GOLDEN)),
  };
}
