/**
 * From a version in a bucket to a model that answers: have its files here, read its text side, open it in an engine. Owns the order and
 * what is said meanwhile; knows nothing of readiness or HTTP.
 */
import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';
import type { Tokenizer } from '@slipway/shared/text/contract.ts';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import type { GraphLayoutSpec, LayoutSpec, SupervisedEngine } from '../engine/index.ts';
import { readProcessorLimits, threadsFor } from '../engine/index.ts';
import type { LoadedModel } from '../generation/loaded-model.ts';
import { describeProcess, engineReady, whyNotReady } from './engine-ready.ts';
import type { FoundVersion } from './find-version.ts';
import { systemFingerprint } from './fingerprint.ts';
import { Holders } from './holders.ts';
import { type Footprint, footprintOf } from './memory.ts';

/** `progress` is 0..1: roughly how much of the time has passed. */
export type TellStage = (stage: string, progress: number) => void;

/** A version that is open, with what its owner needs to end it. */
export interface OpenModel extends LoadedModel {
  readonly manifest: Manifest;
  readonly engine: SupervisedEngine;
  readonly holders: Holders;
  readonly footprint: Footprint;
}

export interface OpenOptions {
  readonly openEngine: (spec: LayoutSpec) => Promise<SupervisedEngine>;
  readonly tell: TellStage;
  /** As LoadedModel has it. */
  readonly aliases: () => readonly string[];
}

/** Rejects with an AppError that says what is missing or wrong; then nothing is left open. */
export async function openVersion(
  { bucket, manifest }: FoundVersion,
  config: ServiceConfig,
  { openEngine, tell, aliases }: OpenOptions,
): Promise<OpenModel> {
  const label = `${manifest.name}@${manifest.version}`;
  tell(`fetching and checking the files of ${label}`, 0.1);
  const folder = await bucket.materialize(manifest);
  tell(`opening ${label} in the engine`, 0.4);
  const spec = layoutSpecOf(manifest, folder, config);
  // The engine opens it in a process of its own, so that the text side is read meanwhile.
  const [opened, read] = await Promise.allSettled([openEngine(spec), readText(manifest, folder)]);
  if (opened.status === 'rejected') throw opened.reason;
  if (read.status === 'rejected') {
    await opened.value.close();
    throw read.reason;
  }
  const engine = opened.value;
  const holders = new Holders();
  return {
    name: manifest.name,
    manifest,
    ...read.value,
    bosTokenId: manifest.text.bos_token_id,
    eosTokenIds: manifest.text.eos_token_ids,
    addBos: manifest.text.add_bos,
    engine,
    engineProcess: () => describeProcess(engine),
    whenReady: (signal) => engineReady(engine, signal),
    whyNotReady: () => whyNotReady(engine),
    fingerprint: systemFingerprint(manifest, engine.info, { ...config, processor: cpus()[0]?.model ?? 'unknown' }),
    aliases,
    hold: () => holders.hold(),
    holders,
    footprint: footprintIn(manifest, config),
  };
}

/** How much a version will take is known before it is opened. */
export function footprintIn(manifest: Manifest, config: ServiceConfig): Footprint {
  const { slots, contextLength } = layoutSpecOf(manifest, '', config);
  return footprintOf(manifest, slots, contextLength);
}

function layoutSpecOf(manifest: Manifest, folder: string, config: ServiceConfig): GraphLayoutSpec {
  const graph = manifest.graphs.serving;
  return {
    kind: 'graph',
    folder,
    graph,
    threads: threadsFor(readProcessorLimits(config.threads)),
    slots: config.slots ?? config.occupancySemaphore,
    contextLength: Math.min(graph.context_length, config.contextLength ?? config.maxPromptTokens + config.maxNewTokens),
  };
}

async function readText(
  { text }: Manifest,
  folder: string,
): Promise<{ tokenizer: Tokenizer; chatTemplate: string | null }> {
  const tokenizerPath = join(folder, text.tokenizer);
  const [tokenizerJson, tokenizerConfig, chatTemplate] = await Promise.all([
    readJson(tokenizerPath),
    readJson(join(dirname(tokenizerPath), 'tokenizer_config.json')),
    text.chat_template === null ? null : readFile(join(folder, text.chat_template), 'utf8'),
  ]);
  return { tokenizer: loadTokenizer(tokenizerJson, tokenizerConfig), chatTemplate };
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError('invalid_source', `${path} cannot be read as JSON (${reason}); convert the model again`, {
      cause: error,
    });
  }
}
