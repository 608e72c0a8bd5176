import { draftManifest } from '@slipway/shared/bucket/testing/draft.ts';
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';
import { describe, expect, it } from 'vitest';
import type { EngineInfo } from '../engine/contract.ts';
import { systemFingerprint } from './fingerprint.ts';

const engine: EngineInfo = {
  layout: 'shared-cache',
  vocabularySize: 16,
  contextLength: 32,
  slots: 4,
  threads: 2,
  device: 'cpu',
  runtime: 'onnxruntime 1.30.0',
};

function manifest(weights: string, graph: string): Manifest {
  const file = (path: string, sha256: string) => ({ path, bytes: 1, sha256 });
  const files = [file('weights.bin', weights.repeat(64)), file('serving.onnx', graph.repeat(64))];
  return { ...draftManifest('one'), version: 'v001', created_at: '2026-01-01T00:00:00Z', files };
}

describe('systemFingerprint', () => {
  const original = systemFingerprint(manifest('a', 'b'), engine);

  it('is short and always the same', () => {
    expect(original).toMatch(/^fp_[0-9a-f]{16}$/);
    expect(systemFingerprint(manifest('a', 'b'), { ...engine, slots: 16 })).toBe(original);
  });

  it.each([
    ['weights', systemFingerprint(manifest('c', 'b'), engine)],
    ['graph', systemFingerprint(manifest('a', 'c'), engine)],
    ['runtime', systemFingerprint(manifest('a', 'b'), { ...engine, runtime: 'onnxruntime 1.31.0' })],
    ['threads', systemFingerprint(manifest('a', 'b'), { ...engine, threads: 3 })],
    ['layout', systemFingerprint(manifest('a', 'b'), { ...engine, layout: 'standard' })],
  ])('changes with the %s', (_, changed) => {
    expect(changed).not.toBe(original);
  });
});
