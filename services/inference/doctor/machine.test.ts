import { describe, expect, it } from 'vitest';
import { judgeDisk, judgeMemory, judgeNode, judgeProcessor, judgeThreads } from './machine.ts';

const GIB = 2 ** 30;

it.each([
  ['24.0.0', 'ok'],
  ['26.10.0', 'ok'],
  ['22.9.0', 'problem'],
])('Node.js %s: %s', (version, verdict) => {
  expect(judgeNode(version).verdict).toBe(verdict);
});

describe('the processor', () => {
  it.each([
    ['x64', 'flags\t\t: fpu avx2 avx512_vnni', 'ok', 'avx512_vnni'],
    ['x64', 'flags\t\t: fpu avx2 avx_vnni', 'ok', 'avx_vnni'],
    ['x64', 'flags\t\t: fpu avx2', 'advice', 'without VNNI'],
    ['x64', 'flags\t\t: fpu sse4_2', 'advice', 'without AVX2'],
    ['arm64', 'Features\t: fp asimd asimddp', 'ok', 'asimddp'],
    ['arm64', 'Features\t: fp asimd', 'advice', 'without dot products'],
  ])('%s with "%s": %s', (architecture, cpuInfo, verdict, says) => {
    expect(judgeProcessor(architecture, cpuInfo)).toMatchObject({ verdict, says: expect.stringContaining(says) });
  });

  it('is not judged where it cannot be read', () => {
    expect(judgeProcessor('arm64', null).verdict).toBe('ok');
  });
});

describe('threads', () => {
  it('more than the limit feeds are advised against', () => {
    expect(judgeThreads(8, 2, 2)).toMatchObject({ verdict: 'advice', mend: expect.stringContaining('set it to 2') });
  });
  it('less than one processor is advised against', () => {
    expect(judgeThreads(null, 1, 0.5)).toMatchObject({ verdict: 'advice', says: expect.stringContaining('0.5') });
  });
  it.each([
    [null, 4, null],
    [2, 4, 4],
  ])('%s of %s are fine', (configured, allowed, processors) => {
    expect(judgeThreads(configured, allowed, processors).verdict).toBe('ok');
  });
});

it.each([
  [2 * GIB, GIB, 'problem'],
  [2 * GIB, 3 * GIB, 'advice'],
  [2 * GIB, 5 * GIB, 'ok'],
  [2 * GIB, null, 'ok'],
])('needing %s bytes of %s: %s', (needed, available, verdict) => {
  expect(judgeMemory(needed, available).verdict).toBe(verdict);
});

it('little disk is told', () => {
  expect(judgeDisk('/data', GIB / 2)).toMatchObject({ verdict: 'advice', says: expect.stringContaining('0.50 GiB') });
  expect(judgeDisk('/data', 2 * GIB).verdict).toBe('ok');
});
