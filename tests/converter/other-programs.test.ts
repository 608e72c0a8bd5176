/** What `--to gguf` and `--to safetensors` make, in the programs they are made for: llama.cpp and transformers. */
import { existsSync } from 'node:fs';
import { cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import { describe, expect, it } from 'vitest';
import { exportCheckpoint } from '../../services/converter/export-checkpoint.ts';
import { referenceLogits } from '../../services/converter/parity/reference/reference-logits.ts';
import { openCheckpoint } from '../../services/converter/readers/open-checkpoint.ts';
import { type SafetensorSpec, safetensorsBytes } from '../../services/converter/readers/testing/safetensors-bytes.ts';
import {
  GOLDEN_FOLDERS,
  GOLDEN_GGUFS,
  type GoldenName,
  largestError,
  readGolden,
} from '../../services/converter/testing/golden.ts';
import { scratch } from './testing/bucket-folder.ts';
import { askLlamaCpp, llamaCppMissing } from './testing/llama-cpp.ts';
import { askTransformers, transformersMissing } from './testing/transformers.ts';

const MODELS = path.join(import.meta.dirname, '../../../shared/models');
const modelsMissing = existsSync(MODELS) ? '' : ' (skipped: needs ../shared/models)';
const TEXT = "It's 1234 o'clock:  déjà vu, 日本 🚀\n\n\tif (x >= 10) { y += 0.5; } <|im_end|> THE END  ";

async function tokensOf(source: string, texts: readonly string[]): Promise<number[][]> {
  const { text, close } = await openCheckpoint(source);
  await close();
  const tokenizer = loadTokenizer(text.tokenizerJson, text.tokenizerConfig);
  return texts.map((one) => tokenizer.encode(one, { addBos: false, parseSpecial: false }));
}

/**
 * Not in this list: what GGUF cannot say (export-checkpoint.test.ts); windows, of which llama.cpp has none for these; and the short
 * divisors of LongRoPE, as llama.cpp serves no less than 256 positions.
 */
const IN_LLAMA_CPP = [...GOLDEN_FOLDERS, ...GOLDEN_GGUFS].filter(
  (name) => !/^gemma3|-window$|^qwen3-bias-tied$|^phi3-longrope-short$/.test(name),
);

describe.skipIf(llamaCppMissing !== '')(`llama.cpp${llamaCppMissing}`, { timeout: 120_000 }, () => {
  it('goes on with the golden checkpoints as PyTorch does, and cuts text into the same tokens', async () => {
    const folder = await scratch();
    const goldens = await Promise.all(IN_LLAMA_CPP.map((name) => readGolden(name)));
    const jobs = [];
    for (const [index, { source, tokenIds, greedy }] of goldens.entries()) {
      const model = path.join(folder, `${index}.gguf`);
      await exportCheckpoint({ source, target: 'gguf', precision: 'f32', out: model });
      const prompts = [{ tokens: tokenIds, count: greedy.length }];
      jobs.push({ model, prompts, texts: [TEXT] });
    }
    const told = await askLlamaCpp(jobs);
    for (const [index, { source, greedy }] of goldens.entries()) {
      const name = IN_LLAMA_CPP[index];
      expect([name, told[index]?.greedy[0]]).toEqual([name, greedy]);
      expect([name, told[index]?.encoded]).toEqual([name, await tokensOf(source, [TEXT])]);
    }
  });

  it('goes on with families it knows in one variant only as our reference does', async () => {
    const folder = await scratch();
    const variants: [GoldenName, object][] = [
      // The sixth layer is the one that sees everything, and turns heads by another rope.
      ['gemma3-older', { num_hidden_layers: 6, query_pre_attn_scalar: 16, sliding_window_pattern: 6 }],
      ['qwen2-window', { use_sliding_window: false }],
      ['mistral-window', { sliding_window: null }],
      ['phi3-window', { sliding_window: null }],
    ];
    const prompts = Array.from({ length: 6 }, (_, prompt) => ({
      tokens: Array.from({ length: 5 + prompt }, (__, i) => (37 * prompt + 41 * i + 5) % 280),
      count: 3,
    }));
    const jobs = [];
    const expected = [];
    for (const [name, changes] of variants) {
      const source = path.join(folder, name);
      await cp((await readGolden(name)).source, source, { recursive: true });
      const config = path.join(source, 'config.json');
      await writeFile(config, JSON.stringify({ ...JSON.parse(await readFile(config, 'utf8')), ...changes }));
      if (name === 'gemma3-older') await repeatLayers(source, 2, 6);
      const model = `${source}.gguf`;
      await exportCheckpoint({ source, target: 'gguf', precision: 'f32', out: model });
      jobs.push({ model, prompts, texts: [] });
      expected.push(await greedyByReference(source, prompts));
    }
    const told = await askLlamaCpp(jobs);
    expect(told.map(({ greedy }) => greedy)).toEqual(expected);
  });

  it.skipIf(modelsMissing !== '')(`tells the story that llama2.c tells, from float16${modelsMissing}`, async () => {
    const source = path.join(MODELS, 'stories260K/stories260K.bin');
    const model = path.join(await scratch(), 'stories.gguf');
    await exportCheckpoint({ source, target: 'gguf', precision: 'f16', out: model });
    const story = (await readFile(path.join(MODELS, 'stories260K/expected-greedy-200.txt'), 'utf8')).trimEnd();
    const texts = [story, TEXT];
    const [told] = await askLlamaCpp([{ model, prompts: [{ tokens: [1], count: 200 }], texts }]);
    const { text, close } = await openCheckpoint(source);
    await close();
    const tokenizer = loadTokenizer(text.tokenizerJson, text.tokenizerConfig);
    expect(tokenizer.decode(told?.greedy[0] ?? [])).toBe(story);
    expect(told?.encoded).toEqual(await tokensOf(source, texts));
  });

  it.skipIf(modelsMissing !== '')(`answers as SmolLM2 does in float32, from float16${modelsMissing}`, async () => {
    const source = path.join(MODELS, 'smollm2-135m-instruct/model-q4_1.gguf');
    const model = path.join(await scratch(), 'smol.gguf');
    await exportCheckpoint({ source, target: 'gguf', precision: 'f16', out: model });
    const truth = JSON.parse(await readFile(path.join(MODELS, 'smollm2-135m-instruct/greedy-fp32.json'), 'utf8'));
    const { prompt_ids: tokens, greedy_ids: greedy } = truth.prompts[0];
    const texts = [TEXT, await readFile(path.join(MODELS, 'smollm2-135m-instruct/ppl.txt'), 'utf8')];
    const [told] = await askLlamaCpp([{ model, prompts: [{ tokens, count: 16 }], texts }]);
    expect(told?.greedy[0]).toEqual(greedy.slice(0, 16));
    expect(told?.encoded).toEqual(await tokensOf(source, texts));
  });
});

/** Makes `layers` of the `own` layers of a folder's weights. */
async function repeatLayers(folder: string, own: number, layers: number): Promise<void> {
  const { tensors, close } = await openCheckpoint(folder);
  const all: Record<string, SafetensorSpec> = {};
  for (const [name, tensor] of tensors) {
    const { shape } = tensor;
    const data = new Uint8Array((await tensor.read()).buffer);
    const [, layer] = /^model\.layers\.(\d+)\./.exec(name) ?? [];
    const copies = layer === undefined ? [name] : [];
    for (let copy = Number(layer); copy < layers; copy += own) copies.push(name.replace(/\d+/, String(copy)));
    for (const copy of copies) all[copy] = { dtype: 'F32', shape, data };
  }
  await close();
  await writeFile(path.join(folder, 'model.safetensors'), safetensorsBytes(all));
}

async function greedyByReference(
  source: string,
  prompts: readonly { tokens: readonly number[]; count: number }[],
): Promise<number[][]> {
  const checkpoint = await openCheckpoint(source);
  const all: number[][] = [];
  for (const { tokens, count } of prompts) {
    const made: number[] = [];
    while (made.length < count) {
      const row = (await referenceLogits(checkpoint, [...tokens, ...made])).at(-1) ?? new Float32Array();
      made.push(row.indexOf(row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)));
    }
    all.push(made);
  }
  await checkpoint.close();
  return all;
}

describe.skipIf(transformersMissing !== '')(`transformers${transformersMissing}`, { timeout: 180_000 }, () => {
  it('loads every folder whole and computes the golden logits', async () => {
    const folder = await scratch();
    const names = [...GOLDEN_FOLDERS, ...GOLDEN_GGUFS];
    const goldens = await Promise.all(names.map((name) => readGolden(name)));
    const jobs = [];
    for (const [index, { source, tokenIds }] of goldens.entries()) {
      const out = path.join(folder, String(index));
      const shardSize = index % 2 === 0 ? '30KB' : '1GB';
      await exportCheckpoint({ source, target: 'safetensors', precision: 'auto', out, shardSize });
      jobs.push({ folder: out, tokens: tokenIds, text: TEXT });
    }
    const told = await askTransformers(jobs);
    for (const [index, golden] of goldens.entries()) {
      const name = names[index];
      const { problems = ['nothing told'], logits = [], encoded, template, eos } = told[index] ?? {};
      const { text, close } = await openCheckpoint(golden.source);
      await close();
      expect([name, problems]).toEqual([name, []]);
      const error = largestError(
        logits.map((row) => Float32Array.from(row)),
        golden.logits,
      );
      expect([name, error < 2e-4]).toEqual([name, true]);
      expect([name, template, eos?.toSorted()]).toEqual([name, text.chatTemplate, text.eosTokenIds.toSorted()]);
      const tokenizer = loadTokenizer(text.tokenizerJson, text.tokenizerConfig);
      expect([name, encoded]).toEqual([name, tokenizer.encode(TEXT, { addBos: false, parseSpecial: true })]);
    }
  });
});
