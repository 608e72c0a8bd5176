/**
 * Whether the model that is to be served is there, whole, and answers here: the bucket is asked, its files are verified, an engine opens it
 * and computes. What is learnt on the way is told as it is found.
 */
import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { superviseEngine } from '../engine/index.ts';
import { bucketsFor, type FoundVersion, findVersion } from '../models/find-version.ts';
import { footprintIn, openVersion } from '../models/load-model.ts';
import { availableMemory, estimateMemory, readMemory } from '../models/memory.ts';
import { proveEngine } from '../models/prove-engine.ts';
import { type Finding, ok, problem } from './finding.ts';
import { judgeMemory } from './machine.ts';

export async function* checkModel(config: ServiceConfig): AsyncGenerator<Finding> {
  let found: FoundVersion;
  try {
    found = await findVersion(bucketsFor(config.bucketUrl), config.model);
  } catch (error) {
    yield problem('model', messageOf(error), mendBucket(error));
    return;
  }
  const { bucket, manifest } = found;
  const label = `${manifest.name}@${manifest.version}`;
  yield ok('model', `${label} (${manifest.precision}) in ${bucket.location}`);
  const memory = judgeMemory(estimateMemory(footprintIn(manifest, config)), availableMemory(readMemory()));
  yield memory;
  // Opening it would have the kernel end something.
  if (memory.verdict !== 'problem') yield await checkEngine(found, config, label);
}

async function checkEngine(found: FoundVersion, config: ServiceConfig, label: string): Promise<Finding> {
  const started = performance.now();
  try {
    const model = await openVersion(found, config, { openEngine: superviseEngine, tell: () => {}, aliases: () => [] });
    try {
      await proveEngine(model.engine, model.bosTokenId ?? 0);
      const { runtime, threads } = model.engine.info;
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      return ok('engine', `${label} is whole, opens and computes on ${runtime} with ${threads} threads (${seconds} s)`);
    } finally {
      await model.engine.close();
    }
  } catch (error) {
    return problem('engine', messageOf(error), mendEngine(messageOf(error)));
  }
}

function mendBucket(error: unknown): string {
  if (error instanceof AppError && error.code === 'not_found') {
    return 'slipway models list shows what is there; set MODEL, or BUCKET_URL to the bucket that has it.';
  }
  return 'Look at BUCKET_URL, at the credentials in the environment, and whether this machine may reach that address.';
}

function mendEngine(message: string): string {
  if (/sha256|blob|damaged/.test(message)) {
    return 'Files of this version are not what was published: convert or pull it again, or restore the bucket from a copy.';
  }
  if (/onnxruntime|libonnxruntime|koffi|GLIBC/i.test(message)) {
    return 'Install the dependencies on the machine that runs them (npm ci), or use the image; Alpine lacks the C library that ONNX Runtime needs.';
  }
  return 'SLIPWAY_DEBUG=1 ./slipway serve shows more of it.';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
