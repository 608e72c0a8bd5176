/**
 * Tokenizers trained by the real kernel, and read here: the ids of Hugging Face's tokenizers over many scripts. Over ../shared/data where
 * it is, over this repository's own documents elsewhere.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import { TOKENIZER_KINDS, type TokenizerKind, type TokenizerStatistics } from '@slipway/trainer/tokenizer-statistics';
import { type TokenizerRequest, trainTokenizer } from '@slipway/trainer/train-tokenizer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askTokenizers, KERNEL_COMMAND, KERNEL_ENVIRONMENT, pythonMissing } from './testing/tokenizer-python.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const SHARED = resolve(ROOT, '../shared/data');
const isShared = existsSync(SHARED);
const docs = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'));
const corpus = isShared
  ? ['tinyshakespeare.txt', 'unicode/UTF-8-demo.txt', 'chat/identity.json'].map((name) => join(SHARED, name))
  : docs.map((name) => join(ROOT, 'docs', name));

function hardTexts(): string[] {
  const { texts } = JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/trained.json'), 'utf8'));
  if (!isShared) return [...texts, ...corpus.map((file) => readFileSync(file, 'utf8'))];
  const unicode = ['GraphemeBreakTest.txt', 'UTF-8-demo.txt', 'UTF-8-test.txt', 'blns.json'];
  const files = unicode.map((name) => readFileSync(join(SHARED, 'unicode', name), 'utf8'));
  const prompts = readFileSync(join(SHARED, 'vocab/ggml-vocab-gpt-2.gguf.inp'), 'utf8').split(
    '\n__ggml_vocab_test__\n',
  );
  return [...texts, ...files, ...files.flatMap((file) => file.split('\n')), ...prompts];
}

const tools = { command: KERNEL_COMMAND, environment: KERNEL_ENVIRONMENT };

describe.skipIf(pythonMissing !== '')(`by the kernel${pythonMissing}`, { timeout: 300_000 }, () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slipway-tokenizers-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  function request(kind: TokenizerKind, change: Partial<TokenizerRequest> = {}): TokenizerRequest {
    const vocabularySize = kind === 'character' ? null : 1200;
    const specialTokens = kind === 'character' ? {} : { chat: true };
    const place = join(folder, kind);
    return { kind, vocabularySize, files: corpus, holdout: 0.05, specialTokens, seed: 1, folder: place, ...change };
  }

  test.each(TOKENIZER_KINDS)('%s: the ids and texts of tokenizers', async (kind) => {
    const said: string[] = [];
    const statistics = await trainTokenizer(request(kind), { ...tools, onMessage: (message) => said.push(message) });
    expect(said.length).toBeGreaterThan(0);
    const made = join(folder, kind);
    const read = async (name: string) => JSON.parse(await readFile(join(made, name), 'utf8'));
    expect(await read('statistics.json')).toEqual(statistics);
    const tokenizer = loadTokenizer(await read('tokenizer.json'), await read('tokenizer_config.json'));
    expect(tokenizer.vocabularySize).toBe(statistics.vocabulary_size);
    const texts = hardTexts();
    const { plain, parsed, decoded } = await askTokenizers(made, texts);
    for (const [i, text] of texts.entries()) {
      const shown = JSON.stringify(text.slice(0, 100));
      expect(tokenizer.encode(text, { addBos: false, parseSpecial: false }), shown).toEqual(plain[i]);
      expect(tokenizer.encode(text, { addBos: false, parseSpecial: true }), shown).toEqual(parsed[i]);
      expect(tokenizer.decode(parsed[i] ?? []), shown).toBe(decoded[i]);
    }
  });

  test('what cannot be trained is said in words, and leaves nothing behind', async () => {
    const bad = join(folder, 'bad.txt');
    await writeFile(bad, Buffer.from('fine\nna\xefve\n', 'latin1'));
    const place = join(folder, 'refused');
    const refusal = (change: Partial<TokenizerRequest>): Promise<TokenizerStatistics> =>
      trainTokenizer(request('bpe', { folder: place, ...change }), tools);
    await expect(refusal({ files: [bad] })).rejects.toMatchObject({
      code: 'invalid_source',
      message: expect.stringMatching(/bad\.txt is no UTF-8: line 2/),
    });
    await expect(refusal({ vocabularySize: 500_000 })).rejects.toMatchObject({
      code: 'invalid_source',
      message: expect.stringMatching(/\d+ is the largest possible/),
    });
    await expect(refusal({ folder })).rejects.toMatchObject({ code: 'already_exists' });
    const stop = AbortSignal.timeout(50);
    await expect(trainTokenizer(request('bpe', { folder: place }), { ...tools, signal: stop })).rejects.toThrow(
      /timeout/,
    );
    expect((await readdir(folder)).filter((name) => name.includes('refused'))).toEqual([]);
  });
});
