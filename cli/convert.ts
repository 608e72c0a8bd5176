/**
 * `slipway convert`: a checkpoint becomes a proven version in the bucket. Turns options into a conversion and its outcome into
 * a report for people or, with --json, for programs.
 */
import { type Conversion, convert } from '@slipway/converter/convert';
import { type Exported, type ExportTarget, exportCheckpoint } from '@slipway/converter/export';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { PRECISIONS, type Precision } from '@slipway/shared/contracts/manifest.ts';
import { type Command, Option } from 'commander';
import { interruptible } from './interruptible.ts';
import { createProgress, type ProgressBar } from './progress-bar.ts';

interface ConvertFlags {
  readonly name?: string;
  readonly base?: string;
  readonly to: 'onnx' | ExportTarget;
  readonly out?: string;
  readonly shardSize?: string;
  readonly precision: string;
  readonly bucket?: string;
  readonly parityText?: string;
  readonly description?: string;
  readonly allowDrift?: true;
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command('convert')
    .description('turn a checkpoint into a version in the bucket, a Hugging Face folder or a GGUF file')
    .argument(
      '<source>',
      "a Hugging Face folder, a .gguf file, a llama2.c .bin file, an adapter's folder, or, with --base, weights out of training",
    )
    .option('--base <path>', 'the model an adapter changes, or that weights out of training are weights of')
    .option('--name <name>', 'the name to publish under; versions count up by themselves')
    .addOption(
      new Option('--to <target>', 'onnx: a version in the bucket; safetensors: a Hugging Face folder; gguf: a file')
        .choices(['onnx', 'safetensors', 'gguf'])
        .default('onnx'),
    )
    .option('--out <path>', 'the folder (safetensors) or file (gguf) to make; nothing may stand there yet')
    .option('--precision <precision>', 'how weights are kept, see below', 'auto')
    .option(
      '--shard-size <size>',
      'safetensors: split the weights above this size (default: 50GB, as transformers does)',
    )
    .option('--bucket <url>', 'where versions are kept (BUCKET_URL; default: ./bucket)')
    .option('--parity-text <file>', 'compare with the source on this text instead of the bundled one')
    .option('--allow-drift', 'publish although the result is outside the bounds; the manifest says so')
    .option('--description <text>', 'what people should know of the version')
    .option('--json', 'progress and, on the last line, the outcome as lines of JSON on stdout')
    .addHelpText(
      'after',
      `
Examples:
  slipway convert ./SmolLM2-135M-Instruct --name smol
  slipway convert ./model-q4_k_m.gguf --name smol --precision int4
  slipway convert ./stories260K.bin --name stories --json | tail -1
  slipway convert ./my-lora --base ./SmolLM2-135M-Instruct --name smol-tuned
  slipway convert ./global_step_100/actor.pt --base ./SmolLM2-135M-Instruct --name smol-policy
  slipway convert ./SmolLM2-135M-Instruct --to gguf --precision q8_0 --out smol.gguf
  slipway convert ./model-q4_k_m.gguf --to safetensors --out ./smol

Precisions, by target:
  onnx         ${PRECISIONS.join(', ')}; auto chooses by size and says why
  safetensors  fp32, fp16, bf16; auto keeps what the source has (fp32 for its quantized weights)
  gguf         f32, f16, q8_0, q4_0; auto is f16

To onnx, the result runs in the real engine and is compared with the source before anything is published.
To safetensors and gguf, it is read back and must be the same model before it gets its name.
Exits 0 when it was made, 2 when the source or the result is not good enough, 1 for anything else.`,
    )
    .action(async (source: string, flags: ConvertFlags) => {
      const progress = createProgress(flags.json ?? false);
      const work = async (signal: AbortSignal) => {
        const onProgress: typeof progress.update = (...how) => {
          signal.throwIfAborted();
          progress.update(...how);
        };
        if (flags.to !== 'onnx') {
          const exported = await exportTo(flags.to, source, flags, onProgress);
          progress.end();
          console.log(flags.json ? JSON.stringify(exportSummary(exported)) : describeExport(exported));
          return;
        }
        const conversion = await convert({
          source,
          ...(flags.base === undefined ? {} : { base: flags.base }),
          name: required(flags, 'name', 'the name to publish under'),
          precision: knownPrecision(flags.precision),
          bucketUrl: flags.bucket ?? (process.env.BUCKET_URL || 'bucket'),
          allowDrift: flags.allowDrift ?? false,
          ...(flags.parityText === undefined ? {} : { parityText: flags.parityText }),
          ...(flags.description === undefined ? {} : { description: flags.description }),
          onProgress,
        });
        progress.end();
        console.log(flags.json ? JSON.stringify(summaryOf(conversion)) : describeConversion(conversion));
      };
      try {
        await interruptible(flags.to === 'onnx' ? 'nothing was published' : 'nothing was written', work);
      } finally {
        progress.end();
      }
    });
}

/** AppError invalid_field: which option is missing, or given where it has no meaning. */
async function exportTo(
  target: ExportTarget,
  source: string,
  flags: ConvertFlags,
  onProgress: ProgressBar['update'],
): Promise<Exported> {
  const out = required(flags, 'out', 'the path to make');
  for (const option of ['name', 'bucket', 'parityText', 'allowDrift', 'description'] as const) {
    if (flags[option] !== undefined) {
      const name = option.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      throw new AppError(
        'invalid_field',
        `--${name} is for --to onnx; --to ${target} makes ${out} and publishes nothing`,
      );
    }
  }
  if (target === 'gguf' && flags.shardSize !== undefined) {
    throw new AppError('invalid_field', '--shard-size is for --to safetensors; a GGUF file is one file');
  }
  return exportCheckpoint({
    source,
    ...(flags.base === undefined ? {} : { base: flags.base }),
    target,
    out,
    precision: flags.precision,
    ...(flags.shardSize === undefined ? {} : { shardSize: flags.shardSize }),
    onProgress,
  });
}

function required(flags: ConvertFlags, option: 'name' | 'out', what: string): string {
  const value = flags[option];
  if (value !== undefined) return value;
  throw new AppError('invalid_field', `--to ${flags.to} needs --${option}: ${what}`);
}

function knownPrecision(asked: string): Precision | 'auto' {
  const known = ['auto', ...PRECISIONS] as const;
  const found = known.find((precision) => precision === asked);
  if (found) return found;
  throw new AppError('invalid_field', `--precision ${asked} is none that onnx has; it has ${known.join(', ')}`);
}

function exportSummary(exported: Exported) {
  const { target, out, precision, tensors, parameters, bytes, seconds, peakRssMib, notes, fit } = exported;
  const bits = (bytes * 8) / parameters;
  return {
    target,
    out,
    precision,
    tensors,
    parameters,
    bytes,
    bits_per_weight: bits,
    seconds,
    peak_rss_mib: peakRssMib,
    notes,
    ...(fit ? { fit } : {}),
  };
}

function describeExport(exported: Exported): string {
  const { target, out, precision, bytes, bits_per_weight, seconds, peak_rss_mib, notes } = exportSummary(exported);
  return [
    `${out}  ${target}, ${precision}`,
    `  size         ${(bytes / 2 ** 20).toFixed(1)} MiB of weights, ${bits_per_weight.toFixed(2)} bits per weight`,
    `  conversion   ${seconds.toFixed(1)} s, ${peak_rss_mib.toFixed(0)} MiB at most`,
    ...(exported.fit ? describeFit(exported.fit) : []),
    ...notes.map((note) => `  NOTE         ${note}`),
  ].join('\n');
}

export function summaryOf({ manifest, seconds, provingSeconds, peakRssMib }: Conversion) {
  const { max_logit_error, kl_divergence, top1_agreement, perplexity, perplexity_source } = manifest.parity;
  return {
    name: manifest.name,
    version: manifest.version,
    precision: manifest.precision,
    bytes: manifest.files.reduce((sum, file) => sum + file.bytes, 0),
    bits_per_weight: manifest.bits_per_weight,
    seconds,
    peak_rss_mib: peakRssMib,
    parity: { max_logit_error, kl_divergence, top1_agreement, perplexity, perplexity_source },
    proving_seconds: provingSeconds,
    drift_allowed: manifest.drift_allowed,
    ...(manifest.source.fit ? { fit: manifest.source.fit } : {}),
  };
}

export function describeConversion(conversion: Conversion): string {
  const { manifest, precisionReason } = conversion;
  const { bytes, seconds, proving_seconds, peak_rss_mib, parity } = summaryOf(conversion);
  const ratio = parity.perplexity / parity.perplexity_source;
  const lines = [
    `${manifest.name}@${manifest.version}  ${manifest.precision}, ${manifest.quantization}`,
    ...(precisionReason === '' ? [] : [`  precision    ${precisionReason}`]),
    `  size         ${(bytes / 2 ** 20).toFixed(1)} MiB, ${manifest.bits_per_weight.toFixed(2)} bits per weight`,
    `  conversion   ${seconds.toFixed(1)} s, ${peak_rss_mib.toFixed(0)} MiB at most; proof ${proving_seconds.toFixed(1)} s`,
    `  perplexity   ${parity.perplexity.toFixed(3)}, ${ratio.toFixed(4)} times the source's (${manifest.parity.tokens} tokens)`,
    `  top-1        ${(parity.top1_agreement * 100).toFixed(1)} % agree; KL divergence ${parity.kl_divergence.toPrecision(2)}`,
    ...(manifest.source.fit ? describeFit(manifest.source.fit) : []),
    ...(manifest.drift_allowed ? ['  WARNING      outside the bounds, published because of --allow-drift'] : []),
    `Serve it: slipway serve ${manifest.name}@${manifest.version}`,
  ];
  return lines.join('\n');
}

/** How weights out of training fitted their base: nothing was missing, or there would be no version. */
function describeFit(fit: Omit<NonNullable<Exported['fit']>, 'missing'>): string[] {
  const { matched, unexpected, tied, renamed } = fit;
  const line = (title: string, names: readonly string[]) =>
    names.length === 0 ? [] : [`  ${title.padEnd(12)} ${names.length}: ${names.join(', ')}`];
  return [
    `  matched      ${matched} tensors, none missing`,
    ...line('renamed', renamed),
    ...line('tied', tied),
    ...line('left out', unexpected),
  ];
}
