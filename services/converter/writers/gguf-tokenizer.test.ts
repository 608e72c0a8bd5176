import { existsSync, readFileSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { TextFiles } from '../checkpoint.ts';
import { readGgufHeader } from '../readers/gguf.ts';
import { ggufText } from '../readers/gguf-tokenizer.ts';
import { readFolderText } from '../readers/hugging-face-text.ts';
import { SourceFile } from '../readers/source-file.ts';
import { SourceFolder } from '../readers/source-folder.ts';
import { scratchFolder } from '../readers/testing/scratch.ts';
import { byteLevelFiles } from '../readers/tokenizer-files.ts';
import { type MetadataEntry, writeGguf } from './gguf-file.ts';
import { describeText } from './gguf-tokenizer.ts';
import { differenceInText } from './same-model.ts';

const SHARED = join(import.meta.dirname, '../../../../shared/data');

async function textOfGguf(path: string): Promise<TextFiles> {
  const file = await SourceFile.open(path);
  try {
    return ggufText(await readGgufHeader(file), file.name);
  } finally {
    await file.close();
  }
}

async function textOfFolder(path: string): Promise<TextFiles> {
  return readFolderText(new SourceFolder(path, new Set(await readdir(path))), {});
}

/** Through a file. */
async function written(entries: readonly MetadataEntry[]): Promise<TextFiles> {
  const path = join(await scratchFolder(), 'vocabulary.gguf');
  await writeGguf(path, entries, [], () => {});
  return textOfGguf(path);
}

const entryOf = (entries: readonly MetadataEntry[], key: string) => entries.find(([name]) => name === key)?.[1];

describe.skipIf(!existsSync(SHARED))('real vocabularies (needs ../shared/data)', () => {
  const inputs = existsSync(SHARED)
    ? ['gpt-2', 'llama-spm', 'qwen2'].flatMap((name) =>
        readFileSync(join(SHARED, `vocab/ggml-vocab-${name}.gguf.inp`), 'utf8').split('\n__ggml_vocab_test__\n'),
      )
    : [];

  test.each<[string, string, string, (path: string) => Promise<TextFiles>]>([
    ['vocab/ggml-vocab-gpt-2.gguf', 'gpt2', 'gpt-2', textOfGguf],
    ['vocab/ggml-vocab-llama-spm.gguf', 'llama', 'default', textOfGguf],
    ['tokenizers/llama2', 'llama', 'default', textOfFolder],
    ['tokenizers/phi-2', 'gpt2', 'gpt-2', textOfFolder],
    ['tokenizers/minimind', 'gpt2', 'gpt-2', textOfFolder],
    ['vocab/qwen2', 'gpt2', 'qwen2', textOfFolder],
  ])('%s is the same tokenizer when it has been through a GGUF file', async (path, kind, style, read) => {
    const source = await read(join(SHARED, path));
    const { vocabularySize } = loadTokenizer(source.tokenizerJson, source.tokenizerConfig);
    // Embeddings often have a few rows more.
    const entries = describeText(source, vocabularySize + 5, path);
    expect(entryOf(entries, 'tokenizer.ggml.model')).toEqual({ text: kind });
    expect(entryOf(entries, 'tokenizer.ggml.pre')).toEqual({ text: style });
    expect(differenceInText(source, await written(entries), inputs)).toBeUndefined();
  });
});

/** Byte-level over a to d. */
function smallText(names: readonly string[], rstrip = false): TextFiles {
  const letters = ['a', 'b', 'c', 'd', 'ab'].map((text) => ({ text, score: 0, kind: 'normal' as const }));
  const special = names.map((text) => ({ text, score: 0, kind: 'control' as const }));
  const preTokenizer = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const ids = { bos: 5, eos: 6, unknown: null, padding: null, addBos: true };
  const { tokenizerJson, tokenizerConfig } = byteLevelFiles(
    [...letters, ...special],
    ['a b'],
    { normalizer: null, preTokenizer, ignoreMerges: false },
    ids,
  );
  const json = structuredClone(tokenizerJson) as { added_tokens: { rstrip: boolean }[] };
  for (const token of json.added_tokens) token.rstrip = rstrip;
  const eosTokenIds = [7, 6, 8];
  return { tokenizerJson: json, tokenizerConfig, chatTemplate: '{{ x }}', bosTokenId: 5, eosTokenIds, addBos: true };
}

test('every token that ends a text keeps doing so, the tokenizer’s own first', async () => {
  const text = smallText(['<bos>', '<eos>', '<turn>', '<tool>']);
  const entries = describeText(text, 9, 'm');
  for (const [key, id] of Object.entries({ bos: 5, eos: 6, eot: 7, eom: 8 })) {
    expect(entryOf(entries, `tokenizer.ggml.${key}_token_id`)).toEqual({ u32: id });
  }
  const copy = await written(entries);
  expect(copy.eosTokenIds.toSorted()).toEqual([6, 7, 8]);
  expect(copy).toMatchObject({ bosTokenId: 5, addBos: true, chatTemplate: '{{ x }}' });
});

test('rows of the embedding that no token has are unused pieces', () => {
  const entries = describeText(smallText(['<bos>', '<eos>', '<turn>', '<tool>']), 11, 'm');
  expect(entryOf(entries, 'tokenizer.ggml.tokens')).toMatchObject({
    texts: { 9: '[PAD9]', 10: '[PAD10]', length: 11 },
  });
  expect(entryOf(entries, 'tokenizer.ggml.token_type')).toMatchObject({ i32s: [1, 1, 1, 1, 1, 3, 3, 3, 3, 5, 5] });
});

// llama.cpp takes it from the name alone, and fails to load a file of that name without these pieces.
test.each([
  ['my-Phi-3-tune', ['<s>', '</s>', '<unk>', '<|endoftext|>'], true, 'my-Phi-3-tune'],
  ['my-tune', ['<s>', '</s>', '<unk>', '<|endoftext|>'], true, 'my-tune (phi-3)'],
  ['my-Phi3-tune', ['<s>', '</s>', '<unk>', '<|endoftext|>'], false, 'my-phi 3-tune'],
  ['phi-3-phi3', ['<s>', '</s>', '<unk>', '<end>'], true, 'phi 3-phi 3'],
  ['smol', ['<s>', '</s>', '<unk>', '<end>'], false, 'smol'],
])('%s with %j, swallowing spaces: %s, is called %s', (label, names, rstrip, called) => {
  expect(entryOf(describeText(smallText(names, rstrip), 9, label), 'general.name')).toEqual({ text: called });
});

describe('tokenizers that are trained here', () => {
  const { texts, cases } = z
    .object({
      texts: z.array(z.string()),
      cases: z.array(z.object({ kind: z.string(), files: z.record(z.string(), z.string()) })),
    })
    .parse(
      JSON.parse(readFileSync(join(import.meta.dirname, '../../../tests/tokenizers/fixtures/trained.json'), 'utf8')),
    );

  async function textOf(kind: string): Promise<TextFiles> {
    const folder = await scratchFolder();
    const files = cases.find((one) => one.kind === kind)?.files ?? {};
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
    return textOfFolder(folder);
  }

  test.each(['bpe', 'sentencepiece-bpe'])('%s is the same one when it has been through a GGUF file', async (kind) => {
    const source = await textOf(kind);
    const { vocabularySize } = loadTokenizer(source.tokenizerJson, source.tokenizerConfig);
    expect(differenceInText(source, await written(describeText(source, vocabularySize, kind)), texts)).toBeUndefined();
  });

  test.each([
    ['sentencepiece-unigram', /type Unigram/],
    ['character', /type WordLevel/],
  ])('%s cannot be said in one', async (kind, reason) => {
    const source = await textOf(kind);
    expect(() => describeText(source, 1000, kind)).toThrow(
      expect.objectContaining({ code: 'unsupported_source', message: expect.stringMatching(reason) }),
    );
  });
});
