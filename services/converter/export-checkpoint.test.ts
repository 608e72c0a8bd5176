import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeDecoder } from './architectures/find-architecture.ts';
import type { Checkpoint } from './checkpoint.ts';
import { type ExportOptions, exportCheckpoint } from './export-checkpoint.ts';
import { openCheckpoint } from './readers/open-checkpoint.ts';
import { safetensorsBytes } from './readers/testing/safetensors-bytes.ts';
import { scratchFolder } from './readers/testing/scratch.ts';
import { GOLDEN_FOLDERS, GOLDEN_GGUFS, type GoldenName, readGolden } from './testing/golden.ts';
import { largestDifference } from './testing/numbers.ts';

const ALL = [...GOLDEN_FOLDERS, ...GOLDEN_GGUFS];

/** What llama.cpp's architectures cannot compute: refused, with the reason. */
const NOT_IN_GGUF: ReadonlyMap<string, RegExp> = new Map([
  ['gemma3', /attentionScale is 0\.25 in the source and 0\.204/],
  ['gemma3-older', /attentionScale is 0\.0625 in the source and 0\.25/],
  ['qwen2-window', /some layers see only 9 positions, and GGUF has no key for that in a qwen2/],
  ['qwen3-bias-tied', /some layers see only 5 positions, and GGUF has no key for that in a qwen3/],
]);

async function exported<T>(
  options: Omit<ExportOptions, 'out'>,
  use: (out: string, result: Awaited<ReturnType<typeof exportCheckpoint>>) => Promise<T>,
): Promise<T> {
  const folder = await scratchFolder();
  const out = path.join(folder, options.target === 'gguf' ? 'model.gguf' : 'model');
  return use(out, await exportCheckpoint({ ...options, out }));
}

async function opened<T>(source: string, use: (checkpoint: Checkpoint) => Promise<T>): Promise<T> {
  const checkpoint = await openCheckpoint(source);
  try {
    return await use(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

/** A model's own: without masks, and without a head that is the embedding once more (GPT-2's is unless it says otherwise). */
async function weightsOf(source: string): Promise<Map<string, { shape: readonly number[]; values: Float32Array }>> {
  return opened(source, async ({ tensors, config }) => {
    const read = new Map<string, { shape: readonly number[]; values: Float32Array }>();
    const tied = config.tie_word_embeddings ?? config.model_type === 'gpt2';
    for (const [name, tensor] of tensors) {
      if (name === 'lm_head.weight' && tied) continue;
      if (/\.attn\.(masked_)?bias$/.test(name)) continue;
      read.set(name, { shape: tensor.shape, values: await tensor.read() });
    }
    return read;
  });
}

/** Names as they are from a model with its head. */
function withRoot(name: string): string {
  return /^(h\.|wte|wpe|ln_f)/.test(name) ? `transformer.${name}` : name;
}

describe('a Hugging Face folder holds the source, bit for bit', () => {
  test.each(ALL)('%s', async (name) => {
    const { source } = await readGolden(name);
    await exported({ source, target: 'safetensors', precision: 'auto' }, async (out) => {
      expect(await weightsOf(out)).toEqual(await weightsOf(source));
      await opened(source, (before) =>
        opened(out, async (after) => {
          const { torch_dtype: _, dtype: __, transformers_version: ___, ...config } = before.config;
          expect(after.config).toMatchObject(JSON.parse(JSON.stringify(config)));
          expect(after.text.tokenizerJson).toEqual(before.text.tokenizerJson);
          expect(after.text.chatTemplate).toBe(before.text.chatTemplate);
          expect(after.text.eosTokenIds.toSorted()).toEqual(before.text.eosTokenIds.toSorted());
        }),
      );
    });
  });
});

describe('a GGUF file in float32 holds the source, bit for bit', () => {
  test.each(ALL.filter((name) => !NOT_IN_GGUF.has(name)))('%s', async (name) => {
    const { source } = await readGolden(name);
    await exported({ source, target: 'gguf', precision: 'f32' }, async (out) => {
      const before = [...(await weightsOf(source))].map(([tensor, value]) => [withRoot(tensor), value] as const);
      expect(await weightsOf(out)).toEqual(new Map(before));
      await opened(source, (first) =>
        opened(out, async (copy) => {
          expect(copy.text.chatTemplate).toBe(first.text.chatTemplate);
          expect([copy.text.bosTokenId, copy.text.addBos]).toEqual([first.text.bosTokenId, first.text.addBos]);
          expect(copy.text.eosTokenIds).toEqual(expect.arrayContaining([...first.text.eosTokenIds]));
        }),
      );
    });
  });

  test.each([...NOT_IN_GGUF])('%s is refused, because llama.cpp would compute something else', async (name, reason) => {
    const { source } = await readGolden(name as GoldenName);
    const folder = await scratchFolder();
    const out = path.join(folder, 'model.gguf');
    await expect(exportCheckpoint({ source, target: 'gguf', precision: 'f32', out })).rejects.toThrow(reason);
    expect(await readdir(folder)).toEqual([]);
  });
});

test('biases where llama.cpp has none are refused by name', async () => {
  const { source } = await readGolden('qwen3-bias-tied');
  const folder = await scratchFolder();
  await edited(source, folder, { use_sliding_window: false });
  const written = exported({ source: folder, target: 'gguf', precision: 'f32' }, async () => {});
  await expect(written).rejects.toMatchObject({
    code: 'unsupported_source',
    message: expect.stringMatching(/self_attn\.\w+\.bias has no name in a GGUF file of a qwen3/),
  });
});

describe('a gemma3 as llama.cpp knows it', () => {
  test('goes to GGUF and back, its norms through the sum that ggml keeps', async () => {
    const { source } = await readGolden('gemma3-older');
    const folder = await scratchFolder();
    await edited(source, folder, { query_pre_attn_scalar: 16, sliding_window_pattern: 6 });
    await exported({ source: folder, target: 'gguf', precision: 'f32' }, async (out) => {
      const [before, after] = [await weightsOf(folder), await weightsOf(out)];
      expect([...after.keys()].toSorted()).toEqual([...before.keys()].toSorted());
      for (const [name, { values }] of before) {
        const copy = after.get(name)?.values ?? new Float32Array();
        const through = name.endsWith('norm.weight') ? values.map((value) => Math.fround(value + 1) - 1) : values;
        expect(copy, name).toEqual(through);
      }
    });
  });
});

describe('precisions', () => {
  const largest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

  test.each([
    ['safetensors', 'fp16', ['F16'], 2 ** -11],
    ['safetensors', 'bf16', ['BF16'], 2 ** -8],
    ['safetensors', 'fp32', ['F32'], 0],
    ['gguf', 'f16', ['F16', 'F32'], 2 ** -11],
    ['gguf', 'q8_0', ['F32', 'Q8_0'], 1 / 200],
    // The head in Q8_0.
    ['gguf', 'q4_0', ['F32', 'Q4_0', 'Q8_0'], 1 / 7.9],
  ] as const)('%s in %s holds weights that near', async (target, precision, types, error) => {
    const { source } = await readGolden('llama-plain');
    await exported({ source, target, precision }, async (out) => {
      const before = await weightsOf(source);
      await opened(out, async ({ tensors }) => {
        expect([...new Set([...tensors.values()].map(({ dtype }) => dtype))].toSorted()).toEqual(types);
        for (const [name, tensor] of tensors) {
          const values = before.get(name)?.values ?? new Float32Array();
          const copy = await tensor.read();
          const worst = largest(values.map((value, i) => value - (copy[i] ?? Number.NaN)));
          expect(worst, name).toBeLessThanOrEqual(error * largest(values));
        }
        expect(tensors.get('lm_head.weight')?.dtype).toBe(types.includes('Q8_0' as never) ? 'Q8_0' : types[0]);
      });
    });
  });

  test('rows that are no whole blocks stay in F16', async () => {
    // Its hidden size is 40.
    const { source } = await readGolden('phi-odd-heads');
    await exported({ source, target: 'gguf', precision: 'q4_0' }, (out) =>
      opened(out, async ({ tensors }) => {
        expect(tensors.get('model.layers.0.self_attn.q_proj.weight')?.dtype).toBe('F16');
      }),
    );
  });

  test('a 4-bit gpt2 keeps its blocks all the way to its layers', async () => {
    const { source } = await readGolden('gpt2');
    await exported({ source, target: 'gguf', precision: 'q4_0' }, (out) =>
      opened(out, async (checkpoint) => {
        const [layer] = describeDecoder(checkpoint).layers;
        const floats = await layer?.qkv.weight.read();
        const blocks = await layer?.qkv.weight.readBlocks?.();
        const made =
          blocks?.q &&
          Float32Array.from(blocks.q, (q, i) => (blocks.scales[i >> 5] ?? 0) * q + (blocks.minimums[i >> 5] ?? 0));
        expect(largestDifference(made ?? [], floats ?? [0])).toBe(0);
      }),
    );
  });

  test.each([
    ['safetensors', 'q8_0', /safetensors has; it has fp32, fp16, bf16/],
    ['gguf', 'int4', /gguf has; it has f32, f16, q8_0, q4_0/],
  ] as const)('%s refuses %s and names its own', async (target, precision, message) => {
    const { source } = await readGolden('llama-plain');
    await expect(exported({ source, target, precision }, async () => {})).rejects.toMatchObject({
      code: 'invalid_field',
      message: expect.stringMatching(message),
    });
  });
});

describe('shards', () => {
  test('are as transformers names them, none above the size but for a larger tensor', async () => {
    const { source } = await readGolden('llama-plain');
    await exported({ source, target: 'safetensors', precision: 'auto', shardSize: '40KB' }, async (out) => {
      const files = (await readdir(out)).filter((name) => name.endsWith('.safetensors')).toSorted();
      expect(files[0]).toBe(`model-00001-of-${String(files.length).padStart(5, '0')}.safetensors`);
      expect(files.length).toBeGreaterThan(2);
      const index = JSON.parse(await readFile(path.join(out, 'model.safetensors.index.json'), 'utf8'));
      const weights = await weightsOf(source);
      expect(Object.keys(index.weight_map).toSorted()).toEqual([...weights.keys()].toSorted());
      const bytes = (names: readonly string[]) =>
        names.reduce((sum, name) => sum + (weights.get(name)?.values.length ?? 0) * 4, 0);
      expect(index.metadata.total_size).toBe(bytes([...weights.keys()]));
      for (const file of files) {
        const inside = [...weights.keys()].filter((name) => index.weight_map[name] === file);
        expect(inside.length === 1 || bytes(inside) <= 40_000).toBe(true);
      }
      expect(await weightsOf(out)).toEqual(weights);
    });
  });

  test.each(['', '5', '0GB', '-1GB', '5 parsecs'])('a size of "%s" is refused', async (shardSize) => {
    const { source } = await readGolden('llama-plain');
    const options = { source, target: 'safetensors', precision: 'auto', shardSize } as const;
    await expect(exported(options, async () => {})).rejects.toMatchObject({ code: 'invalid_field' });
  });
});

test('a tied head stays one tensor, and a folder says that it is tied even where its source did not', async () => {
  const { source } = await readGolden('llama-plain');
  const folder = await scratchFolder();
  await cp(source, folder, { recursive: true });
  const weights = await weightsOf(source);
  weights.delete('lm_head.weight');
  await writeTensors(folder, weights);
  const { tie_word_embeddings: _, ...config } = JSON.parse(await readFile(path.join(folder, 'config.json'), 'utf8'));
  await writeFile(path.join(folder, 'config.json'), JSON.stringify(config));
  await exported({ source: folder, target: 'safetensors', precision: 'auto' }, (out) =>
    opened(out, async ({ config, tensors }) => {
      expect(config.tie_word_embeddings).toBe(true);
      expect(tensors.has('lm_head.weight')).toBe(false);
    }),
  );
  await exported({ source: folder, target: 'gguf', precision: 'f32' }, (out) =>
    opened(out, async ({ config }) => expect(config.tie_word_embeddings).toBe(true)),
  );
});

describe('a source that cannot become such a file is refused, and nothing is written', () => {
  type Change = (folder: string) => Promise<void>;
  const tokenizer =
    (change: (json: { added_tokens: unknown[] } & Record<string, unknown>) => void): Change =>
    async (folder) => {
      const file = path.join(folder, 'tokenizer.json');
      const json = JSON.parse(await readFile(file, 'utf8'));
      change(json);
      await writeFile(file, JSON.stringify(json));
    };
  const weights =
    (change: (values: Map<string, { shape: readonly number[]; values: Float32Array }>) => void): Change =>
    async (folder) => {
      const all = await weightsOf(folder);
      change(all);
      await writeTensors(folder, all);
    };
  const gguf = { target: 'gguf', precision: 'f16' } as const;

  test.each<[string, Change, Pick<ExportOptions, 'target' | 'precision'>, string, RegExp]>([
    [
      'a tokenizer with more ids than the model',
      tokenizer((json) => json.added_tokens.push({ id: 288, content: '<extra>', special: true })),
      { target: 'safetensors', precision: 'auto' },
      'invalid_source',
      /"<extra>" with id 288.*ends at 287/,
    ],
    [
      'a way to cut text that has no name in GGUF',
      tokenizer((json) => {
        json.pre_tokenizer = {
          type: 'Sequence',
          pretokenizers: [
            { type: 'Split', pattern: { Regex: '[aeiou]' }, behavior: 'Isolated', invert: false },
            { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
          ],
        };
      }),
      gguf,
      'unsupported_source',
      /cuts text in a way that has no name/,
    ],
    [
      'a tensor that is missing',
      weights((all) => all.delete('model.layers.1.mlp.up_proj.weight')),
      { target: 'safetensors', precision: 'auto' },
      'invalid_source',
      /layers\.1\.mlp\.up_proj\.weight .*missing/,
    ],
    [
      'a weight that is no number',
      weights((all) => all.get('model.norm.weight')?.values.fill(Number.NaN, 3, 4)),
      { target: 'safetensors', precision: 'auto' },
      'invalid_source',
      /model\.norm\.weight holds NaN/,
    ],
    [
      'a weight too large for the precision',
      weights((all) => all.get('model.layers.0.mlp.up_proj.weight')?.values.fill(1e6, 3, 4)),
      gguf,
      'invalid_field',
      /blk\.0\.ffn_up\.weight holds values that are too large for F16/,
    ],
  ])('%s', async (_, change, { target, precision }, code, message) => {
    const folder = await scratchFolder();
    const source = path.join(folder, 'source');
    await mkdir(source);
    await cp((await readGolden('llama-plain')).source, source, { recursive: true });
    await change(source);
    const out = path.join(folder, 'out');
    await expect(exportCheckpoint({ source, target, precision, out })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(await readdir(folder)).toEqual(['source']);
  });
});

const STORIES = path.join(import.meta.dirname, '../../../shared/models/stories260K/stories260K.bin');
test.skipIf(!existsSync(STORIES)).each([
  ['gguf', 'f32'],
  ['safetensors', 'auto'],
] as const)('a llama2.c checkpoint goes to %s bit for bit (needs ../shared/models)', (target, precision) =>
  exported({ source: STORIES, target, precision }, async (out) => {
    expect(await weightsOf(out)).toEqual(await weightsOf(STORIES));
  }),
);

async function edited(source: string, folder: string, changes: object): Promise<void> {
  await rm(folder, { recursive: true });
  await cp(source, folder, { recursive: true });
  const file = path.join(folder, 'config.json');
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...changes }));
}

async function writeTensors(
  folder: string,
  weights: ReadonlyMap<string, { shape: readonly number[]; values: Float32Array }>,
): Promise<void> {
  const specs = [...weights].map(([name, { shape, values }]) => {
    return [name, { dtype: 'F32', shape, data: new Uint8Array(values.buffer) }] as const;
  });
  await writeFile(path.join(folder, 'model.safetensors'), safetensorsBytes(Object.fromEntries(specs)));
}
