import { describe, expect, it } from 'vitest';
import { GraphBuilder } from './graph-builder.ts';

/** How often a text stands in the encoded graph: names are kept as they are. */
function count(graph: GraphBuilder, text: string): number {
  return Buffer.from(graph.encode('g', 'w')).toString('latin1').split(text).length - 1;
}

describe('GraphBuilder', () => {
  it('gives every result a name of its own, told by the one asked for', () => {
    const graph = new GraphBuilder();
    const names = ['sum', 'sum', 'sum', 'sum_2'].map((name) => graph.node('Add', ['a', 'b'], name));
    expect(names[0]).toBe('sum');
    expect(new Set(names).size).toBe(4);
    expect(names.every((name) => name.startsWith('sum'))).toBe(true);
  });

  it('leaves out results that are not wanted', () => {
    expect(new GraphBuilder().nodes('Split', ['x'], ['', 'b', '', 'd'])).toEqual(['', 'b', '', 'd']);
  });

  it('keeps equal constants once, and unequal ones apart', () => {
    const graph = new GraphBuilder();
    expect(graph.int64([1, 2])).toBe(graph.int64([1, 2]));
    // A scalar is no list of one; 1, 23 are not 12, 3.
    const different = [graph.int64(1), graph.int64([1]), graph.int64([1, 23]), graph.int64([12, 3]), graph.int64(-1)];
    const others = [graph.float(1), graph.float(0.1), graph.uint8(1)];
    expect(new Set([...different, ...others]).size).toBe(8);
    expect(count(graph, graph.int64([12, 3]))).toBe(1);
  });

  it('names a weight once however often it is used, and never as a result', () => {
    const graph = new GraphBuilder();
    const stored = { name: 'w', type: 'float32', shape: [1], offset: 0, length: 4 } as const;
    const names = [graph.weight(stored), graph.weight(stored)];
    expect(names[0]).toBe(names[1]);
    expect(graph.node('Identity', [], 'w')).not.toBe(names[0]);
    expect(count(graph, 'location')).toBe(1);
  });
});
