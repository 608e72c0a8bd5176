/**
 * The promise of the engine on real kernels: what a sequence gets in a full batch, with others that come and go and share its
 * beginning, is bit for bit what it gets alone. Log probabilities are compared, which show the last bit.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Precision } from '@slipway/shared/contracts/manifest.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BuiltVersion } from '../../services/converter/build-version.ts';
import { describeConvertible } from '../../services/converter/convertible.ts';
import { openCheckpoint } from '../../services/converter/readers/open-checkpoint.ts';
import { type GoldenName, readGolden } from '../../services/converter/testing/golden.ts';
import { createEngine, openLayout, type SequenceRequest } from '../../services/inference/engine/index.ts';
import { collect } from '../../services/inference/engine/testing/collect.ts';

/** Of lengths that leave every remainder in the kernels' tiles of rows, in families that share a beginning. */
function makeRequests(vocabularySize: number, contextLength: number): SequenceRequest[] {
  return Array.from({ length: 16 }, (_, i) => {
    const length = Math.min([1, 2, 33, 34, 65, 97, 40, 129][i % 8] ?? 1, contextLength - 12) + Math.floor(i / 8);
    return {
      id: `sequence-${i}`,
      prompt: Array.from({ length }, (_, j) => (j * 31 + (j > 40 ? i : i % 2)) % vocabularySize),
      maxNewTokens: 5 + ((i * 5) % 19),
      eosTokenIds: [],
      sampling: { temperature: i % 3, topK: 0, topP: 0.95, minP: 0, repetitionPenalty: 1, seed: i },
      logprobs: 3,
      deadline: Infinity,
    };
  });
}

describe.each<[Precision, GoldenName]>([
  ['fp32', 'llama-grouped-tied'],
  ['fp32', 'gpt2'],
  ['int8', 'llama-grouped-tied'],
  ['int8', 'gpt2'],
  // Windows, normalized heads, a block that reads one norm twice, norms behind attention and MLP.
  ['int8', 'mistral-window'],
  ['int8', 'qwen3'],
  ['fp32', 'phi'],
  ['int8', 'gemma3'],
  ['fp32', 'char-lstm'],
])('%s, %s', (precision, name) => {
  let folder: string;
  let built: BuiltVersion;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'slipway-batch-'));
    const golden = await readGolden(name);
    const checkpoint = await openCheckpoint(golden.source);
    const model = describeConvertible(checkpoint);
    built = await model.build(precision, folder, { calibration: [golden.tokenIds] });
    await checkpoint.close();
  });
  afterAll(() => rm(folder, { recursive: true }));

  it.each(['serving', 'standard'] as const)(
    'gives every sequence what it gets alone, in the %s graph',
    async (kind) => {
      const graph = built.graphs[kind];
      const open = async (slots: number) =>
        createEngine(
          await openLayout({ kind: 'graph', folder, graph, threads: 2, slots, contextLength: graph.context_length }),
          { limits: { chunkWhileDecoding: 32, chunkAlone: 64 } },
        );
      const requests = makeRequests(graph.vocab_size, graph.context_length);
      const together = await open(5);
      const batch = await Promise.all(requests.map((request) => collect(together, request)));
      await together.close();
      const cached = batch.filter((result) => result.cachedTokens > 0).length;
      // A state is that of its whole sequence: no other can begin with a part of it.
      if (graph.layout === 'recurrent') expect(cached).toBe(0);
      else expect(cached).toBeGreaterThan(5);

      for (const [i, request] of requests.entries()) {
        const engine = await open(1);
        const alone = await collect(engine, request);
        await engine.close();
        const tokens = (events: typeof alone.events) => events.filter((event) => event.type === 'token');
        expect(alone.reason).toBe('length');
        expect(tokens(batch[i]?.events ?? []), request.id).toEqual(tokens(alone.events));
      }
    },
  );
});
