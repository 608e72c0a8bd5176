/**
 * `slipway convert`: a checkpoint becomes a proven version in the bucket. Turns options into a conversion and its outcome into
 * a report for people or, with --json, for programs.
 */
import { type Conversion, convert } from '@slipway/converter/convert';
import { PRECISIONS, type Precision } from '@slipway/shared/contracts/manifest.ts';
import { type Command, Option } from 'commander';
import { createProgressBar } from './progress-bar.ts';

interface ConvertFlags {
  readonly name: string;
  readonly precision: Precision | 'auto';
  readonly bucket?: string;
  readonly parityText?: string;
  readonly allowDrift?: true;
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command('convert')
    .description('turn a checkpoint into a version in the bucket')
    .argument('<source>', 'a Hugging Face folder, a .gguf file, or a llama2.c .bin file')
    .requiredOption('--name <name>', 'the name to publish under; versions count up by themselves')
    .addOption(
      new Option('--precision <precision>', 'how weights are kept; auto chooses by size and says why')
        .choices(['auto', ...PRECISIONS])
        .default('auto'),
    )
    .option('--bucket <url>', 'where versions are kept (BUCKET_URL; default: ./bucket)')
    .option('--parity-text <file>', 'compare with the source on this text instead of the bundled one')
    .option('--allow-drift', 'publish although the result is outside the bounds; the manifest says so')
    .option('--json', 'print the outcome as one line of JSON on stdout')
    .addHelpText(
      'after',
      `
Examples:
  slipway convert ./SmolLM2-135M-Instruct --name smol
  slipway convert ./model-q4_k_m.gguf --name smol --precision int4
  slipway convert ./stories260K.bin --name stories --json | tail -1

The result runs in the real engine and is compared with the source before anything is published.
Exits 0 when a version was published, 2 when the source or the result is not good enough, 1 for anything else.`,
    )
    .action(async (source: string, flags: ConvertFlags) => {
      const progress = createProgressBar();
      try {
        const conversion = await convert({
          source,
          name: flags.name,
          precision: flags.precision,
          bucketUrl: flags.bucket ?? (process.env.BUCKET_URL || 'bucket'),
          allowDrift: flags.allowDrift ?? false,
          ...(flags.parityText === undefined ? {} : { parityText: flags.parityText }),
          onProgress: progress.update,
        });
        progress.end();
        console.log(flags.json ? JSON.stringify(summaryOf(conversion)) : describe(conversion));
      } finally {
        progress.end();
      }
    });
}

function summaryOf({ manifest, seconds, provingSeconds, peakRssMib }: Conversion) {
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
  };
}

function describe(conversion: Conversion): string {
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
    ...(manifest.drift_allowed ? ['  WARNING      outside the bounds, published because of --allow-drift'] : []),
    `Serve it: slipway serve ${manifest.name}`,
  ];
  return lines.join('\n');
}
