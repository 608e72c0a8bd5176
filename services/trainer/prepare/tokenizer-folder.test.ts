/** The text side that a trained model is left with. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder, tinyText } from '../data/testing/tiny-text.ts';
import { writeTokenizerFolder } from './tokenizer-folder.ts';

it.each([
  ['names what ends a text where only config.json did', {}, '</s>'],
  ['leaves what is named', { eos_token: '<|im_end|>' }, '<|im_end|>'],
])('%s', async (_, tokenizerConfig, eos_token) => {
  const folder = join(temporaryFolder(), 'tokenizer');
  await writeTokenizerFolder(folder, { ...tinyText({ bos: '<s>' }), tokenizerConfig }, null, []);
  const written = JSON.parse(readFileSync(join(folder, 'tokenizer_config.json'), 'utf8'));
  expect(written).toEqual({ bos_token: '<s>', eos_token });
});
