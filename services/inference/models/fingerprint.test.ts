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

const settings = { processor: 'A processor at 3 GHz', maxPromptTokens: 2048, defaultMaxNewTokens: 64 };
const fingerprint = (version: Manifest, info: EngineInfo, other: object = {}) =>
  systemFingerprint(version, info, { ...settings, ...other });

describe('systemFingerprint', () => {
  const original = fingerprint(manifest('a', 'b'), engine);

  it('is short and always the same', () => {
    expect(original).toMatch(/^fp_[0-9a-f]{16}$/);
    expect(fingerprint(manifest('a', 'b'), { ...engine, slots: 16 })).toBe(original);
  });

  it.each([
    ['weights', fingerprint(manifest('c', 'b'), engine)],
    ['graph', fingerprint(manifest('a', 'c'), engine)],
    ['runtime', fingerprint(manifest('a', 'b'), { ...engine, runtime: 'onnxruntime 1.31.0' })],
    ['threads', fingerprint(manifest('a', 'b'), { ...engine, threads: 3 })],
    ['context', fingerprint(manifest('a', 'b'), { ...engine, contextLength: 64 })],
    ['processor', fingerprint(manifest('a', 'b'), engine, { processor: 'another' })],
    ['longest prompt', fingerprint(manifest('a', 'b'), engine, { maxPromptTokens: 1024 })],
    ['default length', fingerprint(manifest('a', 'b'), engine, { defaultMaxNewTokens: 32 })],
    ['layout', fingerprint(manifest('a', 'b'), { ...engine, layout: 'standard' })],
  ])('changes with the %s', (_, changed) => {
    expect(changed).not.toBe(original);
  });
});
