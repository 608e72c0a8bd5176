/** What the engine may ask of a recurrent graph's slots, on real kernels. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { GraphSpec } from '@slipway/shared/contracts/manifest.ts';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { describeConvertible } from '../../services/converter/convertible.ts';
import { GraphBuilder } from '../../services/converter/graph/graph-builder.ts';
import { openCheckpoint } from '../../services/converter/readers/open-checkpoint.ts';
import { readGolden } from '../../services/converter/testing/golden.ts';
import { createEngine, type Layout, openLayout } from '../../services/inference/engine/index.ts';
import { collect, makeRequest } from '../../services/inference/engine/testing/collect.ts';
import { TerminatedError } from '../../services/inference/runtime/layout.ts';

let folder: string;
let graph: GraphSpec;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'slipway-recurrent-'));
  const checkpoint = await openCheckpoint((await readGolden('char-lstm-odd')).source);
  ({ serving: graph } = (await describeConvertible(checkpoint).build('fp32', folder)).graphs);
  await checkpoint.close();
});
afterAll(() => rm(folder, { recursive: true }));

async function open(slots: number, spec = graph): Promise<Layout> {
  const layout = await openLayout({ kind: 'graph', folder, graph: spec, threads: 1, slots, contextLength: 2 ** 31 });
  onTestFinished(() => layout.close());
  return layout;
}

const tokens = (count: number) => Array.from({ length: count }, (_, index) => (index * 5 + 3) % graph.vocab_size);

describe('a slot', () => {
  it('goes on from where it stands, or again from where its last run began', async () => {
    const layout = await open(1);
    const whole = (await layout.prefill(0, tokens(9), 0, 'all')).slice();
    const rowAt = (position: number) => whole.slice(position * graph.vocab_size, (position + 1) * graph.vocab_size);
    await layout.prefill(0, tokens(5), 0, 'none');
    expect(await layout.prefill(0, tokens(8).slice(5), 5, 'last')).toEqual(rowAt(7));
    expect(await layout.prefill(0, tokens(9).slice(5), 5, 'last')).toEqual(rowAt(8));
    // Rows that were computed for nobody, any number of them.
    for (let times = 0; times < 3; times++) await layout.decode([1], [9]);
    await layout.prefill(0, tokens(7), 0, 'none');
    for (let times = 0; times < 3; times++) await layout.decode([1], [7]);
    expect(await layout.decode([tokens(8)[7] ?? 0], [7])).toEqual(rowAt(7));
  });

  it('cannot be cut back to fewer tokens', async () => {
    const layout = await open(2);
    await layout.prefill(0, tokens(5), 0, 'none');
    await layout.prefill(0, tokens(3), 5, 'none');
    await layout.decode([1], [8]);
    await expect(layout.prefill(0, tokens(3), 5, 'last')).rejects.toThrow(
      'slot 0 cannot go on from position 5: it holds the state after 9 tokens',
    );
    await expect(layout.decode([1, 1], [9, 1])).rejects.toThrow(/slot 1 .* holds the state after 0 tokens/);
    expect(() => layout.copySlot(0, 1, 5)).toThrow(RangeError);
  });

  it('goes on as the one it was copied from, and on its own', async () => {
    const layout = await open(3);
    await layout.prefill(0, tokens(6), 0, 'none');
    layout.copySlot(0, 2, 6);
    await layout.prefill(0, tokens(4), 6, 'none');
    await layout.prefill(1, tokens(6), 0, 'none');
    const rows = await layout.decode([1, 2, 2], [10, 6, 6]);
    expect(rows.slice(graph.vocab_size, 2 * graph.vocab_size)).toEqual(rows.slice(2 * graph.vocab_size));
    expect(rows.slice(0, graph.vocab_size)).not.toEqual(rows.slice(2 * graph.vocab_size));
  });

  it('still stands where it did when a run of many pieces was ended', async () => {
    const layout = await open(1);
    await layout.prefill(0, tokens(5), 0, 'none');
    const expected = (await layout.prefill(0, tokens(3), 5, 'last')).slice();
    await layout.prefill(0, tokens(5), 0, 'none');
    const long = layout.prefill(0, tokens(50_000), 5, 'none');
    setTimeout(() => layout.terminate(), 20);
    await expect(long).rejects.toThrow(TerminatedError);
    expect(await layout.prefill(0, tokens(3), 5, 'last')).toEqual(expected);
  });
});

describe('rows that would change each other', () => {
  it('are decoded one by one', async () => {
    const name = 'mixing.onnx';
    await writeFile(path.join(folder, name), mixingGraph().encode('mixing', 'none'));
    const spec: GraphSpec = { ...graph, path: name, layers: 1, head_dim: 4, vocab_size: 4 };
    const alone = await open(1, spec);
    const together = await open(4, spec);
    const prompts = [[1], [3, 2], [2, 2, 1]];
    const expected = [];
    for (const [slot, prompt] of prompts.entries()) {
      await alone.prefill(0, prompt, 0, 'none');
      expected.push(...(await alone.decode([slot], [prompt.length])));
      await together.prefill(slot, prompt, 0, 'none');
    }
    expect([...(await together.decode([0, 1, 2], [1, 2, 3]))]).toEqual(expected);
  });
});

describe('an engine over it', () => {
  it('ends a sequence inside its long prompt, and gives the others what they get alone', async () => {
    const request = (id: string) => makeRequest({ id, prompt: tokens(40), maxNewTokens: 30, logprobs: 1 });
    const lone = createEngine(await open(1));
    const expected = await collect(lone, request('alone'));
    const engine = createEngine(await open(3));
    const cancelled = collect(engine, makeRequest({ id: 'long', prompt: tokens(60_000), maxNewTokens: 5 }), (event) => {
      if (event.type === 'started') setTimeout(() => engine.cancel('long'), 10);
    });
    const others = await Promise.all(['a', 'b', 'c'].map((id) => collect(engine, request(id))));
    expect((await cancelled).reason).toBe('cancelled');
    const told = ({ events }: typeof expected) => events.filter((event) => event.type === 'token');
    for (const other of others) expect(told(other)).toEqual(told(expected));
  });
});

/** A recurrent graph in which every row's logits depend on how many rows there are. */
function mixingGraph(): GraphBuilder {
  const mixing = new GraphBuilder();
  mixing.input('input_ids', 'int64', ['batch_size', 'sequence_length']);
  for (const part of ['hidden', 'cell']) {
    mixing.input(`past_${part}`, 'float32', [1, 'batch_size', 4]);
    mixing.output(`present_${part}`, 'float32', [1, 'batch_size', 4]);
  }
  const ids = mixing.node('Cast', ['input_ids'], 'float_ids', { to: 1 });
  const read = mixing.node('ReduceSum', [ids, mixing.int64([1])], 'read', { keepdims: 1 });
  mixing.node('Add', [mixing.node('Mul', ['past_hidden', mixing.float(0.5)], 'faded'), read], 'present_hidden');
  mixing.node('Identity', ['past_cell'], 'present_cell');
  const rows = mixing.node('Gather', [mixing.node('Shape', [ids], 'shape'), mixing.int64(0)], 'rows');
  const count = mixing.node('Cast', [rows], 'count', { to: 1 });
  const state = mixing.node('Squeeze', ['present_hidden', mixing.int64([0])], 'state');
  const row = mixing.node('Unsqueeze', [mixing.node('Mul', [state, count], 'mixed'), mixing.int64([1])], 'row');
  const shape = mixing.node('Concat', ['shape', mixing.int64([4])], 'logits_shape', { axis: 0 });
  mixing.node('Expand', [row, shape], 'logits');
  mixing.output('logits', 'float32', ['batch_size', 'sequence_length', 4]);
  return mixing;
}
