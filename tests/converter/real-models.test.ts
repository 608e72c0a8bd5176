/**
 * Real models, converted and run by the engine: the text they must tell and the perplexity they must keep.
 * The shared models are not part of the project: without them these tests are skipped.
 */
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { openLayout, readProcessorLimits, startEngine, threadsFor } from '@slipway/inference/engine';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import type { Manifest, Precision } from '@slipway/shared/contracts/manifest.ts';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { convert } from '../../services/converter/convert.ts';
import { makeScratch } from './testing/bucket-folder.ts';

const MODELS = path.join(import.meta.dirname, '../../../shared/models');
const missing = existsSync(MODELS) ? '' : ' (skipped: needs ../shared/models)';
const threads = threadsFor(readProcessorLimits(null));

interface Converted {
  readonly folder: string;
  readonly manifest: Manifest;
}

async function converted(bucketUrl: string, source: string, precision: Precision): Promise<Converted> {
  const { manifest } = await convert({ source, name: 'model', precision, bucketUrl, allowDrift: false });
  return { manifest, folder: await openBucket(bucketUrl).materialize(manifest) };
}

/** Greedy continuations of all prompts at once, EOS ignored. */
async function continuations({ folder, manifest }: Converted, prompts: readonly number[][], maxNewTokens: number) {
  const longest = Math.max(...prompts.map(({ length }) => length));
  const engine = await startEngine({
    kind: 'graph',
    folder,
    graph: manifest.graphs.serving,
    threads,
    slots: prompts.length,
    contextLength: longest + maxNewTokens,
  });
  try {
    return await Promise.all(
      prompts.map(
        (prompt, index) =>
          new Promise<number[]>((resolve, reject) => {
            const tokens: number[] = [];
            const sampling = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0 };
            const deadline = Infinity;
            engine.submit({ id: `${index}`, prompt, maxNewTokens, eosTokenIds: [], sampling, deadline }, (event) => {
              if (event.type === 'token') tokens.push(event.token);
              if (event.type !== 'finished') return;
              if (event.reason === 'length') resolve(tokens);
              else reject(new Error(`${event.reason}: ${event.error}`));
            });
          }),
      ),
    );
  } finally {
    await engine.close();
  }
}

/** Teacher-forced over the whole text as one window. */
async function perplexityOf({ folder, manifest }: Converted, tokens: readonly number[]): Promise<number> {
  const graph = manifest.graphs.serving;
  const layout = await openLayout({ kind: 'graph', folder, graph, threads, slots: 1, contextLength: tokens.length });
  let loss = 0;
  for (let start = 0; start < tokens.length - 1; start += 128) {
    const chunk = tokens.slice(start, start + 128);
    const logits = await layout.prefill(0, chunk, start, 'all');
    for (const position of chunk.keys()) {
      const next = tokens[start + position + 1];
      if (next === undefined) break;
      const row = logits.subarray(position * layout.vocabularySize, (position + 1) * layout.vocabularySize);
      const max = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
      const sum = row.reduce((total, value) => total + Math.exp(value - max), 0);
      loss += max + Math.log(sum) - (row[next] ?? Number.NaN);
    }
  }
  await layout.close();
  return Math.exp(loss / (tokens.length - 1));
}

describe.skipIf(missing !== '')(`SmolLM2-135M-Instruct from a Q4_1 GGUF${missing}`, { timeout: 300_000 }, () => {
  const folder = path.join(MODELS, 'smollm2-135m-instruct');
  const source = path.join(folder, 'model-q4_1.gguf');
  let bucketUrl: string;
  let truth: { ppl: number; ppl_tokens: number; prompts: { prompt_ids: number[]; greedy_ids: number[] }[] };
  let text: string;

  beforeAll(async () => {
    bucketUrl = await makeScratch();
    truth = JSON.parse(await readFile(path.join(folder, 'greedy-fp32.json'), 'utf8'));
    text = await readFile(path.join(folder, 'ppl.txt'), 'utf8');
  });
  afterAll(() => rm(bucketUrl, { recursive: true }));

  async function textTokens({ folder, manifest }: Converted): Promise<number[]> {
    const json = async (name: string) => JSON.parse(await readFile(path.join(folder, name), 'utf8'));
    const tokenizer = loadTokenizer(await json(manifest.text.tokenizer), await json('tokenizer_config.json'));
    return tokenizer.encode(text, { addBos: manifest.text.add_bos, parseSpecial: false });
  }

  it('in fp32 goes on as transformers does, token by token, with the same perplexity', async () => {
    const model = await converted(bucketUrl, source, 'fp32');
    const told = await continuations(
      model,
      truth.prompts.map(({ prompt_ids }) => prompt_ids),
      64,
    );
    expect(told).toEqual(truth.prompts.map(({ greedy_ids }) => greedy_ids));
    const tokens = await textTokens(model);
    expect(tokens).toHaveLength(truth.ppl_tokens);
    expect((await perplexityOf(model, tokens)).toFixed(2)).toBe(truth.ppl.toFixed(2));
  });

  it.each([
    ['int8', 1.006, 9],
    ['int4', 1.06, 5.5],
  ] as const)(
    'in %s keeps the perplexity within %f of fp32, at most %f bits per weight',
    async (precision, ratio, bits) => {
      const model = await converted(bucketUrl, source, precision);
      expect(model.manifest.bits_per_weight).toBeLessThanOrEqual(bits);
      expect((await perplexityOf(model, await textTokens(model))) / truth.ppl).toBeLessThanOrEqual(ratio);
    },
  );
});

describe.skipIf(missing !== '')(`stories260K from llama2.c${missing}`, () => {
  it('tells the story that llama2.c tells', async () => {
    const bucketUrl = await makeScratch();
    try {
      const folder = path.join(MODELS, 'stories260K');
      const model = await converted(bucketUrl, path.join(folder, 'stories260K.bin'), 'fp32');
      const [tokens = []] = await continuations(model, [[1]], 200);
      const json = async (name: string) => JSON.parse(await readFile(path.join(model.folder, name), 'utf8'));
      const tokenizer = loadTokenizer(await json('tokenizer.json'), await json('tokenizer_config.json'));
      const expected = await readFile(path.join(folder, 'expected-greedy-200.txt'), 'utf8');
      expect(tokenizer.decode(tokens)).toBe(expected.trimEnd());
    } finally {
      await rm(bucketUrl, { recursive: true });
    }
  });
});
