import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Precision } from '@slipway/shared/contracts/manifest.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeDecoder } from '../../services/converter/architectures/find-architecture.ts';
import { type BuiltVersion, buildVersion } from '../../services/converter/build-version.ts';
import { openCheckpoint } from '../../services/converter/readers/open-checkpoint.ts';
import {
  GOLDEN_FOLDERS,
  GOLDEN_GGUFS,
  type Golden,
  largestError,
  readGolden,
} from '../../services/converter/testing/golden.ts';
import { openSharedCacheLayout } from '../../services/inference/runtime/shared-cache-layout.ts';
import { StandardGraph } from './testing/standard-graph.ts';

/** Float32 in another order of summation: the logits spread over about +-15. */
const ROUNDING = 1e-4;

/**
 * Root mean square error over root mean square logit. These random weights amplify noise about fivefold: 8-bit rounding of weights and
 * activations ends at a few percent, 4-bit rounding at tens. A kernel whose sums overflow, or a wrong rotation, lies far above.
 */
const RELATIVE_ERROR = { fp16: 0.005, int8: 0.1, int4: 0.5 } as const;

function relativeError(actual: readonly Float32Array[], expected: readonly Float32Array[]): number {
  let error = 0;
  let size = 0;
  expected.forEach((row, index) => {
    row.forEach((value, column) => {
      error += (value - (actual[index]?.[column] ?? Number.NaN)) ** 2;
      size += value ** 2;
    });
  });
  return Math.sqrt(error / size);
}

function greedy(row: Float32Array): number {
  return row.reduce((best, value, token) => (value > (row[best] ?? Number.NaN) ? token : best), 0);
}

function rowsOf(values: Float32Array, count: number): Float32Array[] {
  const width = values.length / count;
  return Array.from({ length: count }, (_, row) => values.slice(row * width, (row + 1) * width));
}

describe.each([...GOLDEN_FOLDERS, ...GOLDEN_GGUFS])('%s converted to fp32', (name) => {
  let folder: string;
  let golden: Golden;
  let built: BuiltVersion;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'slipway-golden-'));
    golden = await readGolden(name);
    built = await build(golden, 'fp32', folder);
  });

  afterAll(async () => rm(folder, { recursive: true }));

  it('gives the logits and tokens of PyTorch in the serving graph, in one piece and in chunks', async () => {
    const contextLength = golden.tokenIds.length + golden.greedy.length;
    const layout = openSharedCacheLayout({ folder, graph: built.graphs.serving, threads: 1, slots: 2, contextLength });
    const logits = rowsOf(await layout.prefill(0, golden.tokenIds, 0, 'all'), golden.tokenIds.length);
    expect(largestError(logits, golden.logits)).toBeLessThan(ROUNDING);

    await layout.prefill(1, golden.tokenIds.slice(0, 5), 0, 'none');
    let last: Float32Array = (await layout.prefill(1, golden.tokenIds.slice(5), 5, 'last')).slice();
    expect(largestError([last], golden.logits.slice(-1))).toBeLessThan(ROUNDING);

    // Both slots go on together; each must tell the same story.
    let other: Float32Array = logits.at(-1) ?? last;
    const tokens: number[] = [];
    for (let length = golden.tokenIds.length; tokens.length < golden.greedy.length; length++) {
      expect(greedy(other)).toBe(greedy(last));
      tokens.push(greedy(last));
      if (length === contextLength) break;
      const step = await layout.decode([greedy(other), greedy(last)], [length, length]);
      [other = last, last = other] = rowsOf(step, 2);
    }
    expect(tokens).toEqual(golden.greedy);
    await layout.close();
  });

  it('gives them in the standard graph, in plain onnxruntime-node', async () => {
    const graph = await StandardGraph.open(path.join(folder, built.graphs.standard.path));
    const logits = await graph.run(golden.tokenIds);
    expect(largestError(logits, golden.logits)).toBeLessThan(ROUNDING);
    const tokens = [greedy(logits.at(-1) ?? new Float32Array())];
    while (tokens.length < golden.greedy.length) {
      const [row = new Float32Array()] = await graph.run(tokens.slice(-1));
      tokens.push(greedy(row));
    }
    expect(tokens).toEqual(golden.greedy);
    await graph.close();
  });
});

describe.each([...GOLDEN_FOLDERS, ...GOLDEN_GGUFS])('%s', (name) => {
  it.each(['fp16', 'int8', 'int4'] as const)('stays near its source as %s', async (precision) => {
    const golden = await readGolden(name);
    const folder = await mkdtemp(path.join(tmpdir(), 'slipway-golden-'));
    try {
      const { graphs } = await build(golden, precision, folder);
      const contextLength = golden.tokenIds.length;
      const layout = openSharedCacheLayout({ folder, graph: graphs.serving, threads: 1, slots: 1, contextLength });
      const logits = rowsOf(await layout.prefill(0, golden.tokenIds, 0, 'all'), golden.tokenIds.length);
      expect(relativeError(logits, golden.logits)).toBeLessThan(RELATIVE_ERROR[precision]);
      // The same tokens one by one, over the cache as it is kept.
      const decoded: Float32Array[] = [];
      for (const [position, token] of golden.tokenIds.entries()) {
        decoded.push((await layout.decode([token], [position])).slice());
      }
      expect(relativeError(decoded, golden.logits)).toBeLessThan(RELATIVE_ERROR[precision]);
      await layout.close();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

async function build(golden: Golden, precision: Precision, folder: string): Promise<BuiltVersion> {
  const checkpoint = await openCheckpoint(golden.source);
  const spec = describeDecoder(checkpoint);
  const contextLength = golden.served ?? spec.contextLength;
  return buildVersion({ ...spec, contextLength }, precision, folder, { calibration: [golden.tokenIds] }).finally(() =>
    checkpoint.close(),
  );
}
