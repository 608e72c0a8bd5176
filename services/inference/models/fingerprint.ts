/**
 * One short name for all that can change the bytes of an answer. Same name, request and seed: same bytes.
 */
import { createHash } from 'node:crypto';
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';
import type { EngineInfo } from '../engine/contract.ts';

export interface FingerprintedSettings {
  /** The processor's model: kernels differ in what they can use. */
  readonly processor: string;
  readonly maxPromptTokens: number;
  readonly defaultMaxNewTokens: number;
}

/** Every file of the version is in it, and what runs it; batching is not: a sequence's tokens do not depend on its neighbours. */
export function systemFingerprint(manifest: Manifest, engine: EngineInfo, settings: FingerprintedSettings): string {
  const files = manifest.files.map(({ path, sha256 }) => `${path} ${sha256}`).sort();
  const { runtime, layout, device, threads, contextLength } = engine;
  const { processor, maxPromptTokens, defaultMaxNewTokens } = settings;
  const machine = [runtime, layout, device, threads, process.arch, processor];
  const parts = [files, machine, contextLength, maxPromptTokens, defaultMaxNewTokens];
  return `fp_${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)}`;
}
