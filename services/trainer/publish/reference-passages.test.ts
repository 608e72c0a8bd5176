import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { referencePassages } from './reference-passages.ts';

/** Tokens are numbered through. */
function dataset(lengths: readonly number[], dtype: 'uint16' | 'uint32'): string {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-passages-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const ids = Array.from({ length: tokens }, (_, id) => id);
  const bytes = dtype === 'uint16' ? Uint16Array.from(ids) : Uint32Array.from(ids);
  const offsets = [
    0,
    ...lengths.map((_, index) => lengths.slice(0, index + 1).reduce((sum, length) => sum + length, 0)),
  ];
  writeFileSync(join(folder, 'tokens.bin'), bytes);
  writeFileSync(join(folder, 'offsets.bin'), BigUint64Array.from(offsets.map(BigInt)));
  const source = { format: 'text', template: 'model', template_sha256: null, tokenizer_sha256: '', seed: 1, files: [] };
  const rest = {
    supervised_tokens: tokens,
    vocabulary_size: tokens,
    max_length: null,
    truncated: 0,
    sha256: {},
    source,
  };
  writeFileSync(
    join(folder, 'dataset.json'),
    JSON.stringify({ schema: 1, kind: 'stream', dtype, tokens, examples: lengths.length, ...rest }),
  );
  return folder;
}

const bounds = (passages: readonly (readonly number[])[]) => passages.map((ids) => [ids[0], ids.at(-1)]);

it('begins with examples from all over the data, as long as the model takes', async () => {
  const examples = dataset([10, 20, 1, 40, 50, 60, 70, 80], 'uint16');
  expect(bounds(await referencePassages(examples, 32))).toEqual([
    [0, 9],
    [71, 102],
    [181, 212],
  ]);
});

it('takes passages out of one long document', async () => {
  const passages = await referencePassages(dataset([100_000], 'uint32'), 1024);
  expect(bounds(passages)).toEqual([
    [0, 95],
    [25_000, 25_095],
    [50_000, 50_095],
    [75_000, 75_095],
  ]);
});
