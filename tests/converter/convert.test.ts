/** A conversion from end to end, on the golden checkpoints, into a real bucket. */
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import type { AppError } from '@slipway/shared/contracts/errors.ts';
import { describe, expect, it } from 'vitest';
import { type ConvertOptions, type ConvertPhase, convert } from '../../services/converter/convert.ts';
import { sameText } from '../../services/converter/parity/parity-gate.ts';
import { openCheckpoint } from '../../services/converter/readers/open-checkpoint.ts';
import { GOLDEN_FOLDERS, GOLDEN_GGUFS, readGolden } from '../../services/converter/testing/golden.ts';
import { filesIn, leftovers, scratch } from './testing/bucket-folder.ts';
import { copyGolden, editConfig, editTensor } from './testing/edit-checkpoint.ts';

type Choice = Partial<ConvertOptions> & Pick<ConvertOptions, 'source' | 'bucketUrl'>;

const run = (choice: Choice) => convert({ name: 'model', precision: 'fp32', allowDrift: false, ...choice });

/** The error of a conversion that must fail, after which nothing may be left of it. */
async function failure(choice: Omit<Choice, 'bucketUrl'>): Promise<AppError> {
  const bucketUrl = await scratch();
  const error: unknown = await run({ ...choice, source: choice.source, bucketUrl }).then(
    () => new Error('it was published'),
    (caught: unknown) => caught,
  );
  expect(filesIn(bucketUrl)).toEqual([]);
  return error as AppError;
}

describe('convert', () => {
  it.each([...GOLDEN_FOLDERS, ...GOLDEN_GGUFS])(
    'publishes %s with its text side and a passed parity report',
    async (name) => {
      const { source } = await readGolden(name);
      const bucketUrl = await scratch();
      const { manifest, seconds, provingSeconds, peakRssMib } = await run({ source, bucketUrl });

      expect(manifest).toMatchObject({ name: 'model', version: 'v001', precision: 'fp32', drift_allowed: false });
      expect(manifest.parity).toMatchObject({ within_bounds: true, text: 'bundled', top1_agreement: 1 });
      expect(manifest.parity.max_logit_error).toBeLessThan(1e-3);
      expect(manifest.bits_per_weight).toBeGreaterThanOrEqual(32);
      expect(Math.min(seconds, provingSeconds, peakRssMib)).toBeGreaterThan(0);
      expect(leftovers(bucketUrl)).toEqual([]);

      const bucket = openBucket(bucketUrl);
      expect(await bucket.resolve('model')).toEqual(manifest);
      const folder = await bucket.materialize(manifest);
      expect(filesIn(folder)).toEqual(manifest.files.map((file) => file.path).sort());
      const checkpoint = await openCheckpoint(source);
      expect(await sameText(folder, checkpoint.text)).toBe(true);
      expect(manifest.source.files.map((file) => file.sha256)).toEqual(checkpoint.files.map((file) => file.sha256));
      expect(manifest.text).toMatchObject({
        bos_token_id: checkpoint.text.bosTokenId,
        eos_token_ids: checkpoint.text.eosTokenIds,
        chat_template: checkpoint.text.chatTemplate === null ? null : 'chat_template.jinja',
      });
      await checkpoint.close();
    },
  );

  it('tells its phases in order, each from 0 towards 1', async () => {
    const { source } = await readGolden('llama-plain');
    const told: [ConvertPhase, number][] = [];
    await run({
      source,
      bucketUrl: await scratch(),
      precision: 'fp16',
      allowDrift: true,
      onProgress: (phase, part) => told.push([phase, part]),
    });
    const phases = told.map(([phase]) => phase);
    expect([...new Set(phases)]).toEqual(['reading', 'converting', 'proving', 'publishing']);
    expect(phases).toEqual(phases.toSorted((a, b) => PHASES.indexOf(a) - PHASES.indexOf(b)));
    for (const phase of PHASES) {
      const parts = told.filter(([told]) => told === phase).map(([, part]) => part);
      expect(parts).toEqual(parts.toSorted((a, b) => a - b));
      expect(parts.at(-1)).toBeLessThanOrEqual(1);
    }
  });

  it('gives two conversions of one name at once a version each', async () => {
    const bucketUrl = await scratch();
    const [first, second] = await Promise.all([readGolden('llama-plain'), readGolden('gpt2')]);
    const done = await Promise.all([first, second].map(({ source }) => run({ source, bucketUrl })));
    expect(done.map(({ manifest }) => manifest.version).sort()).toEqual(['v001', 'v002']);
    const bucket = openBucket(bucketUrl);
    for (const { manifest } of done) {
      expect(await bucket.resolve(`model@${manifest.version}`)).toEqual(manifest);
      await bucket.materialize(manifest);
    }
    expect(leftovers(bucketUrl)).toEqual(expect.not.arrayContaining([expect.stringMatching(/^staging/)]));
  });

  it('gives the same bytes when it is run again, and then the same version', async () => {
    const { source } = await readGolden('llama-bias');
    const bucketUrl = await scratch();
    const options = { source, bucketUrl, precision: 'int8', allowDrift: true } as const;
    const [first, second] = [await run(options), await run(options)];
    expect(second.manifest).toEqual(first.manifest);
  });

  it('takes a precision by size when asked to, and says why', async () => {
    const { source } = await readGolden('llama-plain');
    const { manifest, precisionReason } = await run({ source, bucketUrl: await scratch(), precision: 'auto' });
    expect(manifest.precision).toBe('fp32');
    expect(precisionReason).toMatch(/^0\.0 M parameters: small enough/);
  });

  it('judges on the text it is given', async () => {
    const { source } = await readGolden('llama-plain');
    const folder = await scratch();
    const parityText = path.join(folder, 'own.txt');
    await writeFile(parityText, 'A text of my own, and a little more of it.');
    const { manifest } = await run({ source, bucketUrl: await scratch(), parityText });
    expect(manifest.parity.text).toBe('own.txt');

    await writeFile(parityText, '');
    expect(await failure({ source, parityText })).toMatchObject({
      code: 'invalid_source',
      message: 'the text own.txt has no two tokens to compare on',
    });
    expect(await failure({ source, parityText: path.join(folder, 'none.txt') })).toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('none.txt cannot be read'),
    });
  });
});

const PHASES: ConvertPhase[] = ['reading', 'converting', 'proving', 'publishing'];
const NAN = { F32: [0, 0, 0xc0, 0x7f], BF16: [0xc0, 0x7f], F16: [0, 0x7e] };
const INFINITY = { F32: [0, 0, 0x80, 0x7f], BF16: [0x80, 0x7f], F16: [0, 0x7c] };

describe('convert refuses, and leaves nothing behind,', () => {
  it.each([
    ['llama-plain', 'model.layers.1.mlp.up_proj.weight', NAN.F32, 'NaN'],
    ['llama-plain', 'model.norm.weight', INFINITY.F32, 'Infinity'],
    ['llama-bias', 'model.layers.0.self_attn.k_proj.bias', NAN.BF16, 'NaN'],
    ['llama-grouped-tied', 'model.embed_tokens.weight', INFINITY.BF16, 'Infinity'],
    ['gpt2', 'transformer.h.0.attn.c_attn.weight', NAN.F16, 'NaN'],
    ['gpt2', 'transformer.wpe.weight', INFINITY.F16, 'Infinity'],
  ] as const)('%s with a weight of %s that is not finite', async (name, tensor, bytes, told) => {
    const source = await copyGolden(name);
    await editTensor(source, tensor, 5, Uint8Array.from(bytes));
    for (const precision of ['fp32', 'int8', 'int4'] as const) {
      const error = await failure({ source, precision, allowDrift: true });
      expect(error).toMatchObject({
        code: 'invalid_source',
        message: expect.stringContaining(`${tensor} holds ${told}`),
      });
    }
  });

  it('weights that overflow the precision asked for, even with drift allowed', async () => {
    const source = await copyGolden('llama-plain');
    await editTensor(source, 'model.layers.1.mlp.up_proj.weight', 5, new Uint8Array(Float32Array.of(1e5).buffer));
    expect(await failure({ source, precision: 'fp16', allowDrift: true })).toMatchObject({
      code: 'parity_failed',
      message: expect.stringMatching(/fp16 result gives logits that are not finite/),
    });
  });

  it('an architecture nobody has written', async () => {
    const source = await copyGolden('llama-plain');
    await editConfig(source, { model_type: '../evil' });
    expect(await failure({ source })).toMatchObject({
      code: 'unsupported_source',
      message: expect.stringMatching(/"\.\.\/evil" is not known.*architectures\/___evil\.ts/),
    });
  });

  it('a checkpoint whose shard is missing', async () => {
    const source = await copyGolden('llama-rope-linear-sharded');
    await rm(path.join(source, 'model-00002-of-00003.safetensors'));
    expect(await failure({ source })).toMatchObject({
      code: 'invalid_source',
      message: expect.stringContaining('model-00002-of-00003.safetensors'),
    });
  });

  it('a configuration that does not fit the tensors', async () => {
    const source = await copyGolden('llama-plain');
    await editConfig(source, { num_hidden_layers: 3 });
    expect((await failure({ source })).message).toMatch(/tensor model\.layers\.2\.[\w.]+ \[.*\] is missing/);
    await editConfig(source, { num_hidden_layers: 2, intermediate_size: 96 });
    expect((await failure({ source })).message).toMatch(/gate_proj\.weight has shape \[64,32\].*asks for \[96,32\]/);
    await editConfig(source, { intermediate_size: 64, num_attention_heads: 5 });
    expect((await failure({ source })).message).toMatch(/5 heads/);
    await editConfig(source, { num_attention_heads: 'two' });
    expect((await failure({ source })).message).toMatch(/config\.json is not that of a supported llama/);
  });

  it('a name that cannot be a model’s', async () => {
    const { source } = await readGolden('llama-plain');
    for (const name of ['', '../up', 'a b']) {
      expect((await failure({ source, name })).message).toMatch(/name/);
    }
  });
});
