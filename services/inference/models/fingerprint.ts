/**
 * One short name for all that can change the bytes of an answer. Same name, request and seed: same bytes.
 */
import { createHash } from 'node:crypto';
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';
import type { EngineInfo } from '../engine/contract.ts';

/** Batching is not part of it: a sequence's tokens do not depend on its neighbours. */
export function systemFingerprint(manifest: Manifest, engine: EngineInfo): string {
  const sha256Of = (path: string) => manifest.files.find((file) => file.path === path)?.sha256 ?? '';
  const parts = [
    sha256Of(manifest.weights),
    sha256Of(manifest.graphs.serving.path),
    sha256Of(manifest.text.tokenizer),
    engine.runtime,
    engine.layout,
    engine.device,
    engine.threads,
    process.arch,
  ];
  return `fp_${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)}`;
}
