import { draftManifest } from '@slipway/shared/bucket/testing/draft.ts';
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';
import { describe, expect, it } from 'vitest';
import { availableMemory, estimateMemory, footprintOf, peakMemoryOf, readMemory } from './memory.ts';

const MIB = 2 ** 20;
const meminfo = `MemTotal:       4096 kB\nMemAvailable:   ${2048 * 1024} kB\n`;

describe('availableMemory', () => {
  it.each([
    ['the machine', { limit: null, usage: null, stat: null }, 2048],
    ['a cgroup without a limit', { limit: 'max\n', usage: '500', stat: null }, 2048],
    ['a v1 cgroup whose limit is none', { limit: '9223372036854771712', usage: '500', stat: null }, 2048],
    ['a cgroup', { limit: `${1024 * MIB}\n`, usage: `${400 * MIB}\n`, stat: null }, 624],
    [
      'a cgroup that has read files',
      { limit: `${1024 * MIB}`, usage: `${1000 * MIB}`, stat: `anon 1\ninactive_file ${900 * MIB}\n` },
      924,
    ],
    ['a v1 cgroup', { limit: `${1024 * MIB}`, usage: `${1000 * MIB}`, stat: `total_inactive_file ${100 * MIB}` }, 124],
    ['a cgroup that is over its limit', { limit: `${100 * MIB}`, usage: `${200 * MIB}`, stat: null }, 0],
  ])('is what is left of %s', (_, readings, expected) => {
    expect(availableMemory({ ...readings, meminfo })).toBe(expected * MIB);
  });

  it('is not known where nothing says it', () => {
    expect(availableMemory({ limit: null, usage: null, stat: null, meminfo: null })).toBeNull();
  });

  it.runIf(process.platform === 'linux')('is read from this machine, as is what a process took', () => {
    expect(availableMemory(readMemory())).toBeGreaterThan(0);
    expect(peakMemoryOf(process.pid)).toBeGreaterThan(10 * MIB);
    expect(peakMemoryOf(2 ** 30)).toBeNull();
  });
});

describe('estimateMemory', () => {
  const manifest = (bytes: number): Manifest => ({
    ...draftManifest('one'),
    version: 'v001',
    created_at: '2026-01-01T00:00:00Z',
    files: [{ path: 'serving.onnx', bytes, sha256: 'a'.repeat(64) }],
  });

  it('counts the weights and a cache for every slot and one more', () => {
    expect(footprintOf(manifest(1000), 3, 32)).toEqual({ weightBytes: 1000, cacheBytes: 2 * 8 * 32 * 4 * 4 });
  });

  it('takes a model of twice the size to need twice what the running one took beyond an empty engine', () => {
    const small = { weightBytes: 100 * MIB, cacheBytes: 50 * MIB };
    const large = { weightBytes: 200 * MIB, cacheBytes: 100 * MIB };
    const running = { footprint: small, peakBytes: 400 * MIB, isItself: false };
    expect(estimateMemory(small, running)).toBe(400 * MIB);
    expect(estimateMemory(large, running)).toBe(700 * MIB);
    expect(estimateMemory(large, { ...running, isItself: true })).toBe(400 * MIB);
    expect(estimateMemory(small)).toBe((100 + 200 + 50) * MIB);
  });
});
