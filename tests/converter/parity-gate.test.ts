/**
 * What the parity gate must catch. The faults are made in the real files of a real conversion, between building and proving:
 * its progress says when. Everything here passes the gate when nothing is broken (convert.test.ts).
 */
import { globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import type { Precision } from '@slipway/shared/contracts/manifest.ts';
import { describe, expect, it } from 'vitest';
import { describeDecoder } from '../../services/converter/architectures/find-architecture.ts';
import { buildVersion } from '../../services/converter/build-version.ts';
import { type ConvertPhase, convert } from '../../services/converter/convert.ts';
import {
  bundledText,
  compareGraphs,
  compareWithReference,
  passageTokens,
  report,
} from '../../services/converter/parity/parity-gate.ts';
import { openCheckpoint } from '../../services/converter/readers/open-checkpoint.ts';
import { type GoldenName, readGolden } from '../../services/converter/testing/golden.ts';
import { filesIn, scratch } from './testing/bucket-folder.ts';

interface Fault {
  readonly name: GoldenName;
  readonly precision: Precision;
  readonly at: readonly [ConvertPhase, number];
  /** Gets the path of the staging folder's file that matches. */
  readonly file: string;
  readonly damage: (path: string) => void;
  readonly allowDrift?: boolean;
}

/** Converts, with one fault; the bucket's path and the error, if any. */
async function withFault({ name, precision, at, file, damage, allowDrift = false }: Fault) {
  const { source } = await readGolden(name);
  const bucketUrl = await scratch();
  let damaged = 0;
  const onProgress = (phase: ConvertPhase, part: number) => {
    if (phase !== at[0] || part !== at[1]) return;
    for (const found of globSync(`staging/*/files/${file}`, { cwd: bucketUrl })) {
      damage(path.join(bucketUrl, found));
      damaged++;
    }
  };
  const error: unknown = await convert({ name: 'model', source, precision, bucketUrl, allowDrift, onProgress }).catch(
    (caught: unknown) => caught,
  );
  expect(damaged).toBe(1);
  return { bucketUrl, error };
}

/** Exchanges the lowest bits of every exponent from the middle of the file on: a bit flip here and there of the weights. */
function flipWeights(file: string): void {
  const bytes = readFileSync(file);
  for (let offset = (bytes.length >> 1) & ~63; offset < bytes.length * 0.8; offset += 4)
    bytes[offset + 2] = 0x80 ^ (bytes[offset + 2] ?? 0);
  writeFileSync(file, bytes);
}

const weightsAt = { at: ['proving', 0], damage: flipWeights } as const;

describe('the parity gate refuses, and nothing is visible,', () => {
  it.each<[string, RegExp, Fault]>([
    [
      'weights that changed on disk (fp32)',
      /graph in float32 is already off/,
      { name: 'llama-plain', precision: 'fp32', file: 'onnx/model.onnx_data', ...weightsAt },
    ],
    [
      'weights that changed on disk (fp16)',
      /fp16 result is too far|not finite/,
      { name: 'gpt2', precision: 'fp16', file: 'onnx/model_fp16.onnx_data', ...weightsAt },
    ],
    [
      'a float32 twin that is off the source',
      /float32 is already off the source/,
      {
        name: 'llama-grouped-tied',
        precision: 'fp16',
        file: 'onnx/model.onnx_data',
        at: ['proving', 0.2],
        damage: flipWeights,
      },
    ],
    [
      'another tokenizer',
      /tokenizer or chat template written is not the source's/,
      {
        name: 'llama-plain',
        precision: 'fp32',
        file: 'tokenizer.json',
        at: ['proving', 0],
        damage: (file) => writeFileSync(file, readFileSync(file, 'utf8').replace('"a"', '"A"')),
      },
    ],
    [
      'another tokenizer configuration',
      /tokenizer or chat template/,
      {
        name: 'llama-plain',
        precision: 'fp32',
        file: 'tokenizer_config.json',
        at: ['proving', 0],
        damage: (file) => writeFileSync(file, '{}'),
      },
    ],
    [
      'another chat template',
      /tokenizer or chat template/,
      {
        name: 'llama-bias',
        precision: 'fp32',
        file: 'chat_template.jinja',
        at: ['proving', 0],
        damage: (file) => writeFileSync(file, readFileSync(file, 'utf8').slice(0, -1)),
      },
    ],
  ])('%s', async (_fault, message, fault) => {
    const { bucketUrl, error } = await withFault(fault);
    expect(error).toMatchObject({ code: 'parity_failed', message: expect.stringMatching(message) });
    expect(filesIn(bucketUrl)).toEqual([]);
  });

  it('steps of an int8 cache that only decoding would notice', async () => {
    const { bucketUrl, error } = await withFault({
      name: 'llama-plain',
      precision: 'int8',
      file: 'onnx/cache_scales.f32',
      at: ['proving', 0],
      damage: (file) => {
        const bytes = readFileSync(file);
        // Half the exponent's lowest bit in every number: most steps are doubled or halved.
        for (let offset = 2; offset < bytes.length; offset += 4) bytes[offset] = 0x80 ^ (bytes[offset] ?? 0);
        writeFileSync(file, bytes);
      },
    });
    expect(error).toMatchObject({ code: 'parity_failed', message: expect.stringMatching(/int8 result is too far/) });
    expect(filesIn(bucketUrl)).toEqual([]);
  });

  it.each([
    ['fp32', 'onnx/model.onnx'],
    ['int8', 'onnx/model_int8.onnx'],
    ['int8', 'onnx/serving.onnx'],
    ['int8', 'onnx/serving_uint8.onnx'],
  ] as const)('another graph that computes something else (%s %s)', async (precision, file) => {
    const { bucketUrl, error } = await withFault({
      name: 'llama-plain',
      precision,
      file,
      at: ['proving', 0],
      damage: (file) => {
        const { hidden_size, num_attention_heads } = JSON.parse(
          readFileSync(path.join(path.dirname(file), '..', 'config.json'), 'utf8'),
        );
        const float = (value: number) => Buffer.from(Float32Array.of(value).buffer);
        const scale = 1 / Math.sqrt(hidden_size / num_attention_heads);
        const bytes = readFileSync(file);
        const at = bytes.indexOf(float(scale));
        expect(at).toBeGreaterThan(0);
        float(scale * 3).copy(bytes, at);
        writeFileSync(file, bytes);
      },
    });
    expect(error).toMatchObject({
      code: 'parity_failed',
      message: expect.stringMatching(/graph .* is off|int8 result is too far/),
    });
    expect(filesIn(bucketUrl)).toEqual([]);
  });

  it('weights cut short', async () => {
    const { bucketUrl, error } = await withFault({
      name: 'llama-plain',
      precision: 'fp32',
      file: 'onnx/model.onnx_data',
      at: ['proving', 0],
      damage: (file) => writeFileSync(file, readFileSync(file).subarray(0, statSync(file).size - 64)),
    });
    expect(error).toBeInstanceOf(Error);
    expect(filesIn(bucketUrl)).toEqual([]);
  });

  it('a rotary base other than the source’s', async () => {
    const { source } = await readGolden('llama-plain');
    const folder = await scratch();
    const checkpoint = await openCheckpoint(source);
    const tokens = passageTokens(await bundledText(), checkpoint.text, 256)[0] ?? [];
    const divergenceWith = async (theta: number, name: string) => {
      const changed = { ...checkpoint, config: { ...checkpoint.config, rope_theta: theta } };
      await mkdir(path.join(folder, name));
      const built = await buildVersion(describeDecoder(changed), 'fp32', path.join(folder, name));
      const graph = { folder: path.join(folder, name), graph: built.graphs.serving };
      return compareWithReference(checkpoint, graph, tokens, 1e6);
    };
    expect(report(await divergenceWith(10_000, 'right'), 'bundled', 'fp32').within_bounds).toBe(true);
    expect(report(await divergenceWith(10_500, 'wrong'), 'bundled', 'fp32').within_bounds).toBe(false);
    await checkpoint.close();
  });
});

describe('--allow-drift', () => {
  it('publishes what is outside the bounds, and the manifest says so', async () => {
    const { source } = await readGolden('llama-plain');
    const bucketUrl = await scratch();
    const options = { name: 'model', source, precision: 'int4', bucketUrl, allowDrift: false } as const;
    // Random weights are worst for 4 bits: no structure forgives a rounding.
    const refused: unknown = await convert(options).catch((caught: unknown) => caught);
    expect(refused).toMatchObject({
      code: 'parity_failed',
      message: expect.stringMatching(
        /KL divergence .* \(at most 0\.\d+\).*top-1 agreement .*perplexity .*--allow-drift/,
      ),
    });
    expect(filesIn(bucketUrl)).toEqual([]);

    await convert({ ...options, allowDrift: true });
    const manifest = await openBucket(bucketUrl).resolve('model@v001');
    expect(manifest).toMatchObject({ drift_allowed: true, parity: { within_bounds: false } });
  });

  it('does not excuse another tokenizer', async () => {
    const { bucketUrl, error } = await withFault({
      name: 'llama-plain',
      precision: 'fp32',
      file: 'tokenizer.json',
      at: ['proving', 0],
      damage: (file) => writeFileSync(file, '{}'),
      allowDrift: true,
    });
    expect(error).toMatchObject({ code: 'parity_failed' });
    expect(filesIn(bucketUrl)).toEqual([]);
  });
});

describe('the comparisons of the gate', () => {
  it('find no difference between a graph and itself, over every token of the text', async () => {
    const { source } = await readGolden('llama-plain');
    const folder = await scratch();
    const checkpoint = await openCheckpoint(source);
    const spec = describeDecoder(checkpoint);
    const built = { folder, graph: (await buildVersion(spec, 'fp32', folder)).graphs.serving };
    const passages = passageTokens(
      { name: 'own', passages: ['one two three', 'x', 'four five'] },
      checkpoint.text,
      100,
    );
    // Longer than the chunks it is computed in.
    const long = [...(passages[0] ?? []), ...Array.from({ length: 100 }, (_, index) => (index * 7) % spec.vocabSize)];
    const parts: number[] = [];
    const divergence = await compareGraphs(built, built, [long, ...passages], (part) => parts.push(part));
    const positions = [long, ...passages].reduce((sum, { length }) => sum + length, 0);
    // The last tokens of each were decoded on one side and read on the other: the same but for the order of sums.
    expect(divergence).toMatchObject({ top1Agreement: 1, positions });
    expect(divergence.maxLogitError).toBeLessThan(1e-3);
    expect(divergence.klDivergence).toBeLessThan(1e-8);
    expect(divergence.perplexity / divergence.perplexitySource).toBeCloseTo(1, 5);
    expect(parts.at(-1)).toBe(1);
    await checkpoint.close();
  });

  it('take at most a context of each passage, and 1,024 tokens in all', async () => {
    const { source } = await readGolden('llama-plain');
    const { text, close } = await openCheckpoint(source);
    const passages = passageTokens(await bundledText(), text, 200);
    expect(Math.max(...passages.map(({ length }) => length))).toBe(200);
    expect(passages.flat()).toHaveLength(1024);
    expect(passageTokens({ name: 'empty', passages: ['', ''] }, text, 200)).toEqual([]);
    await close();
  });
});
