/**
 * The work of `slipway eval`: the versions and a service that has them, the evaluation, and what is made of it: a report, JSON, words.
 */
import { access, constants, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { bucketsFor, findVersion } from '@slipway/inference/find-version';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Evaluation, Metric } from '@slipway/shared/contracts/evaluation.ts';
import { tellFullDisk } from '@slipway/shared/contracts/full-disk.ts';
import type { DataRecipe } from '@slipway/shared/contracts/recipe.ts';
import type { ServiceClient } from '@slipway/shared/lines/service-client.ts';
import { evaluate, renderReport, scoringTools, type VersionToAsk } from '@slipway/trainer/evaluation';
import { readLossCurve } from '@slipway/trainer/loss-curve';
import { downloadFolder } from '../data/data-flags.ts';
import { interruptible } from '../interruptible.ts';
import { labelOf } from '../models/bucket-option.ts';
import { createProgressBar } from '../progress-bar.ts';
import { serveVersion, withServiceClient } from '../serve-version.ts';
import { drawEvaluation } from './draw-evaluation.ts';

interface EvalFlags {
  readonly data: readonly string[];
  readonly against?: string;
  readonly metrics: readonly Metric[] | null;
  readonly limit?: number;
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly seed: number;
  readonly atOnce: number;
  readonly out?: string;
  readonly format: DataRecipe['format'];
  readonly columns: DataRecipe['columns'];
  readonly bucket?: string;
  readonly url?: string;
  readonly json?: true;
}

export async function evaluateVersions(version: string, flags: EvalFlags): Promise<void> {
  if (flags.out !== undefined) await requireFolder(flags.out);
  const ours = await versionToAsk(version, flags);
  const theirs = flags.against === undefined ? undefined : await versionToAsk(flags.against, flags);
  const scoring = await scoringTools(flags.metrics);
  const progress = createProgressBar();
  let evaluation: Evaluation;
  try {
    progress.update('preparing', 0);
    evaluation = await interruptible('nothing was written', (signal) =>
      withClient(ours.name, flags, signal, (client) =>
        evaluate({
          client,
          versions: theirs === undefined ? [ours] : [ours, theirs],
          sources: flags.data,
          format: flags.format,
          columns: flags.columns,
          cacheFolder: downloadFolder(),
          limit: flags.limit ?? null,
          metrics: flags.metrics,
          maxNewTokens: flags.maxNewTokens,
          temperature: flags.temperature,
          seed: flags.seed,
          atOnce: flags.atOnce,
          scoring,
          signal,
          onProgress: (phase, lines, totalLines) => progress.update(phase, lines / totalLines, { lines, totalLines }),
        }),
      ),
    );
  } finally {
    progress.end();
  }
  if (flags.out !== undefined) await writeReport(flags.out, evaluation);
  console.log(flags.json ? JSON.stringify(evaluation) : drawEvaluation(evaluation, flags.out));
}

/** Exactly one version, so that a name that is moved meanwhile moves nothing here. A running service knows its own names. */
async function versionToAsk(reference: string, { url, bucket }: EvalFlags): Promise<VersionToAsk> {
  if (url !== undefined) return { name: reference, manifest: null };
  const { manifest } = await findVersion(bucketsFor(bucket ?? (process.env.BUCKET_URL || null)), reference);
  return { name: labelOf(manifest), manifest };
}

function withClient<T>(
  name: string,
  { url, bucket, atOnce, maxNewTokens }: EvalFlags,
  signal: AbortSignal,
  use: (client: ServiceClient) => Promise<T>,
): Promise<T> {
  return url === undefined
    ? serveVersion({ name, bucketUrl: bucket ?? null, maxNewTokens, atOnce }, signal, use)
    : withServiceClient(url, process.env.API_KEY, atOnce, use);
}

/** Before minutes of questions. */
async function requireFolder(file: string): Promise<void> {
  const folder = dirname(resolve(file));
  try {
    await access(folder, constants.W_OK);
  } catch (cause) {
    throw new AppError('invalid_field', `--out ${file}: ${folder} is not there, or may not be written to`, { cause });
  }
}

async function writeReport(file: string, evaluation: Evaluation): Promise<void> {
  const dataFolder = process.env.DATA_FOLDER || 'data';
  const runs = new Set(evaluation.versions.flatMap(({ lineage }) => lineage?.run ?? []));
  const curves = [...runs].flatMap((run) => readLossCurve(dataFolder, run) ?? []);
  const report = await renderReport(evaluation, curves);
  await tellFullDisk(file, 'free some space and run it again', () => writeFile(file, report));
}
