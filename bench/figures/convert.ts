/**
 * Conversions as a user runs them: seconds and memory, the proof against the source apart, and what the proof found.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { median, round3 } from '../rounds.ts';

const Outcome = z.object({
  bytes: z.number(),
  bits_per_weight: z.number(),
  seconds: z.number(),
  peak_rss_mib: z.number(),
  proving_seconds: z.number(),
  parity: z.object({
    max_logit_error: z.number(),
    kl_divergence: z.number(),
    top1_agreement: z.number(),
    perplexity: z.number(),
    perplexity_source: z.number(),
  }),
});
type Outcome = z.infer<typeof Outcome>;

export interface ConvertResult extends Outcome {
  readonly precision: string;
  readonly samples_seconds: readonly number[];
  readonly perplexity_ratio: number;
}

/** `parityText`: judged on this file instead of the bundled text. Each conversion goes to a bucket of its own. */
export function measureConversion(
  source: string,
  precision: string,
  rounds: number,
  parityText: string | undefined,
): ConvertResult {
  const outcomes = Array.from({ length: rounds }, () => convertOnce(source, precision, parityText));
  const last = outcomes.at(-1);
  if (!last) throw new Error('no round was run');
  return {
    ...last,
    precision,
    seconds: round3(median(outcomes.map(({ seconds }) => seconds))),
    samples_seconds: outcomes.map(({ seconds }) => round3(seconds)),
    peak_rss_mib: round3(Math.max(...outcomes.map(({ peak_rss_mib }) => peak_rss_mib))),
    proving_seconds: round3(median(outcomes.map(({ proving_seconds }) => proving_seconds))),
    perplexity_ratio: Number((last.parity.perplexity / last.parity.perplexity_source).toFixed(5)),
  };
}

/** `slipway convert` with --allow-drift into a bucket that is thrown away. */
export function convertOnce(source: string, precision: string, parityText: string | undefined): Outcome {
  const bucket = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
  try {
    const args = [source, '--name', 'bench', '--precision', precision, '--bucket', bucket, '--json', '--allow-drift'];
    if (parityText !== undefined) args.push('--parity-text', parityText);
    return Outcome.parse(JSON.parse(runConvert(args).trim().split('\n').at(-1) ?? ''));
  } finally {
    rmSync(bucket, { recursive: true, force: true });
  }
}

/** Gives what the command wrote to stdout. */
export function runConvert(args: readonly string[]): string {
  const main = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');
  const child = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', main, 'convert', ...args], {
    encoding: 'utf8',
  });
  if (child.status !== 0) throw new Error(`slipway convert ended with ${child.status}: ${child.stderr}`);
  return child.stdout;
}
