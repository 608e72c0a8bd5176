import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Tokenizer } from '@slipway/shared/text/contract.ts';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { readGgufHeader } from './gguf.ts';
import { ggufText } from './gguf-tokenizer.ts';
import { SourceFile } from './source-file.ts';

const SHARED = join(import.meta.dirname, '../../../../shared');
const VOCABULARIES = join(SHARED, 'data/vocab');
const SMOLLM = join(SHARED, 'models/smollm2-135m-instruct');

async function tokenizerOf(path: string): Promise<{ tokenizer: Tokenizer; text: ReturnType<typeof ggufText> }> {
  const file = await SourceFile.open(path);
  try {
    const text = ggufText(await readGgufHeader(file), file.name);
    // As it goes through a file.
    const written: unknown = JSON.parse(JSON.stringify(text.tokenizerJson));
    return { tokenizer: loadTokenizer(written, text.tokenizerConfig), text };
  } finally {
    await file.close();
  }
}

describe.skipIf(!existsSync(VOCABULARIES))('llama.cpp’s vocabulary tests (needs ../shared/data/vocab)', () => {
  test.each([
    ['gpt-2', { bosTokenId: 50256, eosTokenIds: [50256], addBos: false }],
    ['llama-spm', { bosTokenId: 1, eosTokenIds: [2], addBos: true }],
  ])('%s', async (name, expected) => {
    const path = join(VOCABULARIES, `ggml-vocab-${name}.gguf`);
    const { tokenizer, text } = await tokenizerOf(path);
    expect(text).toMatchObject(expected);
    const inputs = readFileSync(`${path}.inp`, 'utf8').split('\n__ggml_vocab_test__\n');
    const outputs = readFileSync(`${path}.out`, 'utf8').split('\n');
    expect(inputs).toHaveLength(47);
    for (const [i, input] of inputs.entries()) {
      const ids = tokenizer.encode(input, { addBos: false, parseSpecial: false });
      expect(ids.join(' '), JSON.stringify(input)).toBe((outputs[i] ?? '').trim());
      expect(tokenizer.decode(ids)).toBe(input);
    }
  });
});

describe.skipIf(!existsSync(SMOLLM))('SmolLM2 (needs ../shared/models/smollm2-135m-instruct)', () => {
  test('encodes the prompts and the text of its reference as transformers does', async () => {
    const { tokenizer, text } = await tokenizerOf(join(SMOLLM, 'model-q4_1.gguf'));
    expect(text).toMatchObject({ bosTokenId: 1, eosTokenIds: [2, 0], addBos: false });
    expect(text.chatTemplate).toContain('<|im_start|>');
    const reference = z
      .object({
        ppl_tokens: z.number(),
        prompts: z.array(z.object({ prompt_text: z.string(), prompt_ids: z.array(z.number()) })),
      })
      .parse(JSON.parse(readFileSync(join(SMOLLM, 'greedy-fp32.json'), 'utf8')));
    for (const { prompt_text, prompt_ids } of reference.prompts) {
      expect(tokenizer.encode(prompt_text, { addBos: true, parseSpecial: true })).toEqual(prompt_ids);
    }
    const long = readFileSync(join(SMOLLM, 'ppl.txt'), 'utf8');
    expect(tokenizer.encode(long, { addBos: true, parseSpecial: false })).toHaveLength(reference.ppl_tokens);
  });
});
