/** `slipway tokenizer ...` as people call it. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { slipway } from '../converter/testing/slipway.ts';
import { kernelMissing, newTrainPlace } from '../trainer/testing/train-command.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const { cases } = JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/trained.json'), 'utf8'));
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-tokenizer-'));
  const files: Record<string, string> = cases[0].files;
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('show cuts a text, and every token is to be seen', async () => {
  const { code, stdout } = await slipway(['tokenizer', 'show', folder, '--text', 'a </s>\nдом']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^model +BPE$/m);
  expect(stdout).toMatch(/^ends with +<\|endoftext\|>$/m);
  const [, shown = ''] = /\n\n([\s\S]*?)\n\n\d+ tokens, /.exec(stdout) ?? [];
  expect(shown.replaceAll(/[|\n]/g, '').replaceAll('⏎', '\n')).toMatch(/^a <\/s>\n/);
});

test('show as JSON is the ids, and the statistics where there are some', async () => {
  const { stdout } = await slipway(['tokenizer', 'show', folder, '--text', '<|im_end|>', '--json']);
  const shown = JSON.parse(stdout);
  expect(shown).toMatchObject({ model: 'BPE', vocabulary_size: 340, eos: '<|endoftext|>', statistics: null });
  // It was typed, so it is text.
  expect(shown.tokens.length).toBeGreaterThan(1);
  expect(shown.tokens.map(({ piece }: { piece: string }) => piece).join('')).toBe('<|im_end|>');
});

test('show reads a version of the bucket', async () => {
  const { code, stdout } = await slipway(['tokenizer', 'show', 'shakespeare-gpt2', '--bucket', join(ROOT, 'models')]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^vocabulary +768 tokens$/m);
});

test.skipIf(kernelMissing)(
  `train learns what chats say, not the JSON around it${kernelMissing}`,
  { timeout: 120_000 },
  async () => {
    const chats = ['Where is the barn?', 'How old is the barn?'].map((question) =>
      JSON.stringify({ question, answer: `${question} Behind the house, and it is old.` }),
    );
    await writeFile(join(folder, 'chats.jsonl'), chats.join('\n'));
    const out = join(folder, 'of-chats');
    const { code } = await (await newTrainPlace()).slipway([
      'tokenizer',
      'train',
      join(folder, 'chats.jsonl'),
      '--kind',
      'character',
      '--out',
      out,
    ]);
    expect(code).toBe(0);
    const { model } = JSON.parse(readFileSync(join(out, 'tokenizer.json'), 'utf8'));
    expect(model.vocab).toHaveProperty('W');
    for (const sign of ['{', '"', ':']) expect(model.vocab).not.toHaveProperty(sign);
  },
);

test('what is nowhere is refused', async () => {
  const { code, errors } = await slipway(['tokenizer', 'show', join(folder, '..'), '--json']);
  expect(code).toBe(2);
  expect(errors.join()).toMatch(/holds no tokenizer\.json/);
});
