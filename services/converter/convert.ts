/**
 * A conversion from end to end: read, build, prove, publish. Nothing is visible in the bucket unless all of it succeeded.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { GraphSource } from '@slipway/inference/engine';
import type { Bucket, Staging } from '@slipway/shared/bucket/bucket.ts';
import { isFullDisk } from '@slipway/shared/bucket/durable-files.ts';
import { checkModelName } from '@slipway/shared/bucket/keys.ts';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Lineage, Manifest, ParityReport, Precision, TrainedParity } from '@slipway/shared/contracts/manifest.ts';
import { type BuiltVersion, writeTextFiles } from './build-version.ts';
import type { Checkpoint } from './checkpoint.ts';
import { type Convertible, describeConvertible } from './convertible.ts';
import type { Divergence } from './parity/compare-logits.ts';
import {
  bundledText,
  calibrationText,
  compareGraphs,
  compareWithLogits,
  compareWithReference,
  type ParityText,
  passageTokens,
  report,
  sameText,
} from './parity/parity-gate.ts';
import { logitsOf } from './parity/run-graph.ts';
import { compareGreedy, compareWithTrained, type TrainedReference, trainedParity } from './parity/trained-reference.ts';
import { BOUNDS } from './precision.ts';
import { openCheckpoint } from './readers/open-checkpoint.ts';
import type { Written } from './writers/weights-file.ts';

export type { TrainedReference };

export interface ConvertOptions {
  /** A Hugging Face folder, a .gguf file, a llama2.c .bin, an adapter's folder or, with `base`, weights out of training. */
  readonly source: string;
  /** What an adapter or a training checkpoint is laid over: a folder or file that is a source itself. */
  readonly base?: string;
  readonly name: string;
  readonly precision: Precision | 'auto';
  readonly bucketUrl: string;
  /** Publish although the parity report is outside the bounds; the manifest says so. */
  readonly allowDrift: boolean;
  /** A file whose text the result is judged on, instead of the bundled one. */
  readonly parityText?: string;
  /** What the manifest calls the source, instead of its file or folder: a hub's name and commit. */
  readonly sourceLabel?: string;
  readonly description?: string;
  /** Where the source comes from, when it was trained here. */
  readonly lineage?: Lineage;
  /** What the program that trained the source computes of it: the graph in float32 must give the same. */
  readonly trained?: TrainedReference;
  /** `detail`: what has been written so far. What it throws ends the conversion, and nothing of it stays. */
  readonly onProgress?: (phase: ConvertPhase, part: number, detail?: Written) => void;
}

export type ConvertPhase = 'reading' | 'converting' | 'proving' | 'publishing';

export interface Conversion {
  readonly manifest: Manifest;
  /** Why `auto` took this precision; empty when it was asked for. */
  readonly precisionReason: string;
  /** Reading, quantizing and writing. */
  readonly seconds: number;
  /** Calibration, and the parity gate with the float32 twin it builds. */
  readonly provingSeconds: number;
  /** Of this process while it converted, before the gate ran. */
  readonly peakRssMib: number;
}

/** AppError when the source cannot be read, the result is too far from it, or the disk is full. */
export async function convert(options: ConvertOptions): Promise<Conversion> {
  const progress = options.onProgress ?? (() => {});
  const bucket = openBucket(options.bucketUrl);
  const started = performance.now();
  progress('reading', 0);
  // What is cheap to get wrong is looked at before anything is read.
  checkModelName(options.name);
  const text = options.parityText === undefined ? await bundledText() : await readText(options.parityText);
  const checkpoint = await openCheckpoint(options.source, options.base);
  const stagings: Staging[] = [];
  const stage = async () => {
    const staging = await bucket.stage(options.name);
    stagings.push(staging);
    return staging;
  };
  try {
    const model = describeConvertible(checkpoint);
    const { precision, reason } = model.choosePrecision(options.precision);
    const staging = await stage();
    const calibration = passageTokens(await calibrationText(), checkpoint.text, model.contextLength);
    const built = await model.build(precision, staging.folder, {
      calibration,
      onProgress: (part, written) => progress('converting', part, written),
    });
    await writeTextFiles(staging.folder, checkpoint.text, servedConfig(checkpoint, model), precision);
    const seconds = (performance.now() - started) / 1000 - built.calibrationSeconds;

    progress('proving', 0);
    const parity = await prove(
      checkpoint,
      model,
      precision,
      staging,
      built,
      { text, trained: options.trained },
      stage,
      (part) => progress('proving', part),
    );
    requireNumbers(parity, precision);
    if (!parity.within_bounds && !options.allowDrift) throw outsideBounds(parity, precision);
    const provingSeconds = (performance.now() - started) / 1000 - seconds;

    progress('publishing', 0);
    const manifest = await staging.publish(
      {
        schema: 1,
        name: options.name,
        ...(options.description === undefined ? {} : { description: options.description }),
        ...(options.lineage === undefined ? {} : { lineage: options.lineage }),
        source: {
          ...sourceOf(checkpoint),
          ...(options.sourceLabel === undefined ? {} : { label: options.sourceLabel }),
        },
        architecture: model.architecture,
        precision,
        quantization: built.description,
        bits_per_weight: built.bitsPerWeight,
        graphs: built.graphs,
        weights: built.weights,
        text: {
          tokenizer: 'tokenizer.json',
          chat_template: checkpoint.text.chatTemplate === null ? null : 'chat_template.jinja',
          bos_token_id: checkpoint.text.bosTokenId,
          eos_token_ids: [...checkpoint.text.eosTokenIds],
          add_bos: checkpoint.text.addBos,
        },
        parity,
        drift_allowed: !parity.within_bounds,
      },
      built.hashes,
    );
    return { manifest, precisionReason: reason, seconds, provingSeconds, peakRssMib: built.peakRssMib };
  } catch (error) {
    throw diskFull(error, bucket) ?? error;
  } finally {
    await Promise.allSettled(stagings.map((staging) => staging.discard()));
    await checkpoint.close();
  }
}

/** Tokens that the other graphs are run on: they share their weights with the one that was judged. */
const OTHER_GRAPH_TOKENS = 32;

/** Result against float32 twin, twin against the independent forward pass, text files against the source's. */
async function prove(
  checkpoint: Checkpoint,
  model: Convertible,
  precision: Precision,
  staging: Staging,
  built: BuiltVersion,
  { text, trained }: { readonly text: ParityText; readonly trained: TrainedReference | undefined },
  stage: () => Promise<Staging>,
  onProgress: (part: number) => void,
): Promise<ParityReport> {
  if (!(await sameText(staging.folder, checkpoint.text))) {
    throw new AppError(
      'parity_failed',
      `${checkpoint.label}: the tokenizer or chat template written is not the source's`,
    );
  }
  const result = { folder: staging.folder, graph: built.graphs.serving };
  const standard = { folder: staging.folder, graph: built.graphs.standard };
  const passages = passageTokens(text, checkpoint.text, model.contextLength);
  const first = passages[0];
  if (!first) throw new AppError('invalid_source', `the text ${text.name} has no two tokens to compare on`);
  const twin = precision === 'fp32' ? null : await stage();
  const exact = twin
    ? {
        folder: twin.folder,
        graph: (await model.build('fp32', twin.folder, { onProgress: (part) => onProgress(0.2 * part) })).graphs
          .serving,
      }
    : result;
  const reference = await compareWithReference(checkpoint, exact, first, model.parameters);
  onProgress(0.3);
  if (!report(reference, text.name, 'fp32').within_bounds) {
    throw new AppError(
      'parity_failed',
      `${checkpoint.label}: the graph in float32 is already off the source (KL divergence ${reference.klDivergence.toPrecision(3)}, largest logit error ${reference.maxLogitError.toPrecision(3)}): a fault of the converter, not of the precision`,
    );
  }
  const sameAsTrained = trained && (await requireTrained(checkpoint, trained, exact));
  const divergence = twin
    ? await compareGraphs(exact, result, passages, (part) => onProgress(0.3 + 0.6 * part))
    : reference;
  const parity = { ...report(divergence, text.name, precision), ...(sameAsTrained && { trained: sameAsTrained }) };
  if (parity.within_bounds) {
    const tokens = first.slice(0, OTHER_GRAPH_TOKENS);
    const source = await logitsOf(exact, tokens);
    for (const other of [standard, ...variants(result)]) {
      requireSame(checkpoint, precision, await compareWithLogits(source, other, tokens), other.graph.path);
    }
  }
  await twin?.discard();
  return parity;
}

/** AppError parity_failed when the graph in float32 is not the model that was trained. */
async function requireTrained(
  { label }: Checkpoint,
  trained: TrainedReference,
  exact: GraphSource,
): Promise<TrainedParity> {
  const divergence = await compareWithTrained(trained, exact);
  if (!report(divergence, 'trained', 'fp32').within_bounds) {
    throw new AppError(
      'parity_failed',
      `${label}: the graph in float32 is not the model that was trained (KL divergence ${divergence.klDivergence.toPrecision(3)}, largest logit error ${divergence.maxLogitError.toPrecision(3)}): a fault of the trainer or the converter. Nothing was published.`,
    );
  }
  const greedy = await compareGreedy(trained, exact, 2 * divergence.maxLogitError);
  if (greedy.fault !== undefined) {
    throw new AppError(
      'parity_failed',
      `${label}: the graph in float32 does not answer as the trained model does: ${greedy.fault}. Nothing was published.`,
    );
  }
  return trainedParity(divergence, greedy);
}

/** The serving graph in each of its forms: this processor runs only one of them by itself. */
function variants({ folder, graph }: GraphSource): GraphSource[] {
  if (graph.uint8_path === null) return [];
  return [graph.path, graph.uint8_path].map((path) => ({ folder, graph: { ...graph, path, uint8_path: null } }));
}

/** Every other graph over the same weights must be the same model. */
function requireSame({ label }: Checkpoint, precision: Precision, { klDivergence }: Divergence, graph: string): void {
  // A few tokens vary more than the whole text does.
  if (klDivergence <= 2 * BOUNDS[precision].kl_divergence) return;
  throw new AppError(
    'parity_failed',
    `${label}: the graph ${graph} is off the source (KL divergence ${klDivergence.toPrecision(3)}): a fault of the converter`,
  );
}

function sourceOf({ kind, label, files, fit }: Checkpoint): Manifest['source'] {
  const source = { kind, label, files: [...files] };
  if (!fit) return source;
  const { matched, unexpected, tied, renamed } = fit;
  return { ...source, fit: { matched, unexpected: [...unexpected], tied: [...tied], renamed: [...renamed] } };
}

/** What the published config.json says of the context must be what its graphs can do. */
function servedConfig({ config }: Checkpoint, model: Convertible): Record<string, unknown> {
  return 'max_position_embeddings' in config
    ? { ...config, max_position_embeddings: model.contextLength }
    : { ...config };
}

async function readText(file: string): Promise<ParityText> {
  try {
    return { name: path.basename(file), passages: [await readFile(file, 'utf8')] };
  } catch (cause) {
    throw new AppError('not_found', `the parity text ${file} cannot be read`, { cause });
  }
}

/** A result whose logits are no numbers answers nothing: not even --allow-drift publishes that. */
function requireNumbers(parity: ParityReport, precision: Precision): void {
  const { max_logit_error, kl_divergence, perplexity } = parity;
  if ([max_logit_error, kl_divergence, perplexity].every(Number.isFinite)) return;
  throw new AppError(
    'parity_failed',
    `the ${precision} result gives logits that are not finite numbers: the source's values overflow this precision. Nothing was published. Take a finer precision.`,
  );
}

function outsideBounds(parity: ParityReport, precision: Precision): AppError {
  const bounds = BOUNDS[precision];
  const ratio = parity.perplexity / parity.perplexity_source;
  return new AppError(
    'parity_failed',
    `the ${precision} result is too far from its source: KL divergence ${parity.kl_divergence.toPrecision(3)} (at most ${bounds.kl_divergence}), ` +
      `top-1 agreement ${parity.top1_agreement.toFixed(3)} (at least ${bounds.top1_agreement}), ` +
      `perplexity ${ratio.toFixed(4)} times the source's (at most ${bounds.perplexity_ratio}). ` +
      'Nothing was published. Take a finer precision, or publish it as it is with --allow-drift.',
  );
}

function diskFull(error: unknown, bucket: Bucket): AppError | undefined {
  if (!isFullDisk(error)) return undefined;
  return new AppError(
    'disk_full',
    `the disk of ${bucket.location} is full; nothing was published. Free some space and convert again.`,
    { cause: error },
  );
}
