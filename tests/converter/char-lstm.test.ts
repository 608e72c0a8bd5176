/** Char-LSTM from its checkpoint to a published version, held to what PyTorch computes from the same weights. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { AppError } from '@slipway/shared/contracts/errors.ts';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import type { BuiltVersion } from '../../services/converter/build-version.ts';
import { type ConvertOptions, convert } from '../../services/converter/convert.ts';
import { describeConvertible } from '../../services/converter/convertible.ts';
import { exportCheckpoint } from '../../services/converter/export-checkpoint.ts';
import { referenceLogits } from '../../services/converter/parity/reference/reference-logits.ts';
import { openCheckpoint } from '../../services/converter/readers/open-checkpoint.ts';
import { GOLDEN_RECURRENT, type Golden, largestError, readGolden } from '../../services/converter/testing/golden.ts';
import { type Layout, openLayout } from '../../services/inference/engine/index.ts';
import { filesIn, makeScratch, scratch } from './testing/bucket-folder.ts';
import { copyGolden, editConfig, editTensor } from './testing/edit-checkpoint.ts';

/** Float32 in another order of summation, and the runtime's own sigmoid and tanh: the logits spread over about +-15. */
const ROUNDING = 1e-4;

function greedy(row: Float32Array): number {
  return row.reduce((best, value, token) => (value > (row[best] ?? Number.NaN) ? token : best), 0);
}

function rowsOf(values: Float32Array, count: number): Float32Array[] {
  const width = values.length / count;
  return Array.from({ length: count }, (_, row) => values.slice(row * width, (row + 1) * width));
}

async function build(golden: Golden, precision: 'fp32' | 'fp16', folder: string): Promise<BuiltVersion> {
  const checkpoint = await openCheckpoint(golden.source);
  return describeConvertible(checkpoint)
    .build(precision, folder)
    .finally(() => checkpoint.close());
}

async function openServing(folder: string, { graphs }: BuiltVersion): Promise<Layout> {
  const contextLength = graphs.serving.context_length;
  return openLayout({ kind: 'graph', folder, graph: graphs.serving, threads: 1, slots: 2, contextLength });
}

describe.each(GOLDEN_RECURRENT)('%s converted to fp32', (name) => {
  let folder: string;
  let golden: Golden;
  let built: BuiltVersion;

  beforeAll(async () => {
    folder = await makeScratch();
    golden = await readGolden(name);
    built = await build(golden, 'fp32', folder);
    return () => rm(folder, { recursive: true });
  });

  it('gives the logits and tokens of PyTorch, in one piece, in chunks and decoded beside another', async () => {
    const layout = await openServing(folder, built);
    const { tokenIds, logits } = golden;
    const whole = rowsOf(await layout.prefill(0, tokenIds, 0, 'all'), tokenIds.length);
    expect(largestError(whole, logits)).toBeLessThan(ROUNDING);
    await layout.prefill(1, tokenIds.slice(0, 5), 0, 'none');
    let last: Float32Array = (await layout.prefill(1, tokenIds.slice(5), 5, 'last')).slice();
    expect(largestError([last], logits.slice(-1))).toBeLessThan(ROUNDING);
    const tokens: number[] = [];
    for (let length = tokenIds.length; tokens.length < golden.greedy.length; length++) {
      tokens.push(greedy(last));
      last = (await layout.decode([greedy(last), greedy(last)], [length, length])).slice(-last.length);
    }
    expect(tokens).toEqual(golden.greedy);
    await layout.close();
  });

  it('gives them in plain onnxruntime-node: a state in, the next one out', async () => {
    const { layers, head_dim: size, path: file } = built.graphs.standard;
    expect(built.graphs.standard).toEqual(built.graphs.serving);
    const session = await InferenceSession.create(path.join(folder, file), { intraOpNumThreads: 1 });
    const zeros = () => new Tensor('float32', new Float32Array(layers * size), [layers, 1, size]);
    let state = { past_hidden: zeros(), past_cell: zeros() };
    const run = async (ids: readonly number[]): Promise<Float32Array[]> => {
      const input = new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]);
      const { logits, present_hidden, present_cell } = await session.run({ input_ids: input, ...state });
      if (!present_hidden || !present_cell || !(logits?.data instanceof Float32Array)) throw new Error('no result');
      state = { past_hidden: zeros(), past_cell: zeros() };
      for (const [past, present] of [
        [state.past_hidden, present_hidden],
        [state.past_cell, present_cell],
      ] as const)
        (past.data as Float32Array).set(present.data as Float32Array);
      return rowsOf(logits.data, ids.length);
    };
    const rows = await run(golden.tokenIds);
    expect(largestError(rows, golden.logits)).toBeLessThan(ROUNDING);
    const tokens = [greedy(rows.at(-1) ?? new Float32Array())];
    while (tokens.length < golden.greedy.length) {
      const [row = new Float32Array()] = await run(tokens.slice(-1));
      tokens.push(greedy(row));
    }
    expect(tokens).toEqual(golden.greedy);
    await session.release();
  });

  it('is what the independent forward pass makes of the source', async () => {
    const checkpoint = await openCheckpoint(golden.source);
    const logits = await referenceLogits(checkpoint, golden.tokenIds);
    expect(largestError(logits, golden.logits)).toBeLessThan(ROUNDING);
    await checkpoint.close();
  });

  it('stays near its source in fp16', async () => {
    const half = await scratch();
    const layout = await openServing(half, await build(golden, 'fp16', half));
    const rows = rowsOf(await layout.prefill(0, golden.tokenIds, 0, 'all'), golden.tokenIds.length);
    expect(largestError(rows, golden.logits)).toBeLessThan(name === 'char-lstm-tied' ? 0.01 : ROUNDING);
    await layout.close();
  });
});

const run = (choice: Partial<ConvertOptions> & Pick<ConvertOptions, 'source' | 'bucketUrl'>) =>
  convert({ name: 'model', precision: 'auto', allowDrift: false, ...choice });

describe('convert', () => {
  it('publishes a Char-LSTM with a passed parity report and what it is', async () => {
    const { source } = await readGolden('char-lstm');
    const { manifest, precisionReason } = await run({ source, bucketUrl: await scratch() });
    expect(precisionReason).toMatch(/^0\.2 M parameters: small enough/);
    expect(manifest).toMatchObject({
      precision: 'fp32',
      architecture: { family: 'char-lstm', parameters: 244_162, hidden_size: 128, layers: 2, vocab_size: 66 },
      bits_per_weight: expect.closeTo(32, 1),
      text: { chat_template: null, bos_token_id: null, eos_token_ids: [], add_bos: false },
      parity: { within_bounds: true, top1_agreement: 1 },
    });
    expect(manifest.architecture).not.toHaveProperty('heads');
    expect(manifest.parity.max_logit_error).toBeLessThan(ROUNDING);
    const paths = manifest.files.map((file) => file.path).filter((file) => file.startsWith('onnx/'));
    expect(paths.sort()).toEqual(['onnx/model.onnx', 'onnx/model.onnx_data']);
  });

  it('counts a tied head once', async () => {
    const { source } = await readGolden('char-lstm-tied');
    const { manifest } = await run({ source, bucketUrl: await scratch(), precision: 'fp16' });
    expect(manifest.architecture).toMatchObject({ tied_embedding: true, parameters: 29 * 24 + 2 * 96 * 24 });
    expect(manifest.bits_per_weight).toBeCloseTo(16, 1);
  });
});

describe('convert refuses, and leaves nothing behind,', () => {
  async function failure(source: string, precision: ConvertOptions['precision'] = 'fp32'): Promise<AppError> {
    const bucketUrl = await scratch();
    const error: unknown = await run({ source, precision, bucketUrl, allowDrift: true }).then(
      () => new Error('it was published'),
      (caught: unknown) => caught,
    );
    expect(filesIn(bucketUrl)).toEqual([]);
    return error as AppError;
  }

  it.each(['int8', 'int4'] as const)('%s of a recurrent model', async (precision) => {
    const { source } = await readGolden('char-lstm');
    expect(await failure(source, precision)).toMatchObject({
      code: 'unsupported_source',
      message: `--precision ${precision} is not made of a recurrent model (char-lstm); take fp32, fp16 or auto`,
    });
  });

  it.each(['gguf', 'safetensors'] as const)('to write it as %s', async (target) => {
    const { source } = await readGolden('char-lstm');
    const folder = await scratch();
    const written = exportCheckpoint({ source, target, precision: 'auto', out: path.join(folder, 'out') });
    await expect(written).rejects.toThrow('a char-lstm is no transformer decoder; it can be published (--to onnx)');
    expect(filesIn(folder)).toEqual([]);
  });

  it.each([
    ['an LSTM in both directions', { bidirectional: true }, /supported char-lstm model: bidirectional/],
    ['an LSTM with projections', { proj_size: 8 }, /supported char-lstm model: proj_size/],
    ['a configuration without sizes', { hidden_size: null }, /supported char-lstm model: hidden_size/],
    [
      'a tied head of another size',
      { tie_word_embeddings: true },
      /embedding of 5 cannot be tied .* hidden size of 17/,
    ],
    ['more layers than there are', { num_layers: 4 }, /tensor lstm\.\w+_l3 \[68\] is missing/],
    ['fewer layers than there are', { num_layers: 2 }, /tensor lstm\.\w+_l2 has no place in a char-lstm/],
    ['biases that the configuration denies', { bias: false }, /tensor lstm\.bias_hh_l0 has no place/],
    ['another hidden size', { hidden_size: 16 }, /tensor lstm\.\w+_l0 has shape \[68\].*asks for \[64\]/],
  ])('%s', async (_what, changes, message) => {
    const source = await copyGolden('char-lstm-odd');
    await editConfig(source, changes);
    const error = await failure(source);
    expect(['invalid_source', 'unsupported_source']).toContain(error.code);
    expect(error.message).toMatch(message);
  });

  it.each(['lstm.weight_hh_l1', 'lstm.bias_ih_l2', 'embedding.weight', 'head.bias'])(
    '%s with a number that is not finite',
    async (tensor) => {
      const source = await copyGolden('char-lstm-odd');
      await editTensor(source, tensor, 3, Uint8Array.of(0xc0, 0x7f));
      expect((await failure(source)).message).toContain(`${tensor} holds NaN (element 3`);
    },
  );

  it.each(['vocab', 'added_tokens'])('a tokenizer whose %s goes beyond the model’s vocabulary', async (where) => {
    const source = await copyGolden('char-lstm-odd');
    const file = path.join(source, 'tokenizer.json');
    const json = JSON.parse(await readFile(file, 'utf8'));
    if (where === 'vocab') json.model.vocab.Q = 29;
    else json.added_tokens.push({ id: 29, content: 'Q', special: true });
    await writeFile(file, JSON.stringify(json));
    expect(await failure(source)).toMatchObject({
      code: 'invalid_source',
      message: expect.stringMatching(
        /: its tokenizer has the token "Q" with id 29, but the model's vocabulary ends at 28/,
      ),
    });
  });

  it('a character vocabulary without a token for what is not in it', async () => {
    const source = await copyGolden('char-lstm-odd');
    const file = path.join(source, 'tokenizer.json');
    const json = JSON.parse(await readFile(file, 'utf8'));
    delete json.model.vocab['<unk>'];
    await writeFile(file, JSON.stringify(json));
    expect(await failure(source)).toMatchObject({
      code: 'invalid_source',
      message: 'tokenizer.json: model.vocab has no "<unk>" for what is not in it',
    });
  });
});
