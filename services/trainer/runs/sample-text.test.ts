/** Samples in words: half characters are joined, and a continuation keeps the space between it and its prompt. */
import { expect, it } from 'vitest';
import { temporaryFolder, tinyText } from '../data/testing/tiny-text.ts';
import { writeTokenizerFolder } from '../prepare/tokenizer-folder.ts';
import { sampleTextOf } from './sample-text.ts';

async function sampleText(tokenizerJson: unknown, prompt: number[], ids: number[]) {
  const folder = temporaryFolder();
  await writeTokenizerFolder(folder, { ...tinyText(), tokenizerJson }, null, []);
  return sampleTextOf(folder)({ type: 'sample', step: 1, prompt, ids, ended: false });
}

it('are whole characters, and special tokens are left out', async () => {
  const ids = [...Buffer.from('é!'), 257];
  expect(await sampleText(tinyText().tokenizerJson, [256, 97], ids)).toEqual({ prompt_text: 'a', text: 'é!' });
});

it('go on where their prompt ends', async () => {
  const tokenizerJson = {
    decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
    model: { type: 'BPE', vocab: { '▁Once': 0, '▁upon': 1 }, merges: [] },
  };
  expect(await sampleText(tokenizerJson, [0], [1])).toEqual({ prompt_text: 'Once', text: ' upon' });
});
