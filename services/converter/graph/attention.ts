/**
 * Attention of one layer: GroupQueryAttention over a float32 cache, or over an int8 one with a float32 scratch for prompts.
 * Owns the names of the cache's ports; knows no projection and no precision of weights.
 */
import type { DecoderSpec } from '../architectures/decoder-spec.ts';
import type { Frame, QuantizedCache } from './frame.ts';
import { type GraphBuilder, MS } from './graph-builder.ts';
import type { StoredHeadNorm, StoredLayer, StoredRope } from './store-decoder.ts';

/** Gives [rows, heads * headDim] for the normalized rows `input`; `qkvShape` is that of the projections by sequence. */
export function attention(frame: Frame, layer: StoredLayer, input: string, qkvShape: string, index: number): string {
  const { graph, spec } = frame;
  const name = `layers.${index}`;
  const qkv = graph.node('Reshape', [layer.qkv(graph, input, `${name}.qkv`), qkvShape], `${name}.qkv_sequences`);
  const projections = layer.headNorms ? normalizedHeads(frame, qkv, layer.headNorms, name) : [qkv, '', ''];
  const [attended = ''] = frame.quantizedCache
    ? quantizedAttention(frame, frame.quantizedCache, layer, projections, index)
    : graph.nodes(
        'GroupQueryAttention',
        [
          ...projections,
          ...cacheNames('past_key_values', index),
          frame.lastIndex,
          frame.total,
          ...rotaryTables(graph, layer.rope),
        ],
        [`${name}.attended`, ...cacheNames('present', index)],
        attentionAttributes(spec, layer, layer.rope !== null),
        MS,
      );
  return graph.node('Reshape', [attended, graph.int64([-1, spec.heads * spec.headDim])], `${name}.attended_all`);
}

/** Queries, keys and values apart, the heads of the first two normalized each by itself. */
function normalizedHeads(
  { graph, spec }: Frame,
  qkv: string,
  norms: { readonly query: StoredHeadNorm; readonly key: StoredHeadNorm },
  name: string,
): string[] {
  const [query = '', key = '', value = ''] = splitProjections(graph, spec, qkv, name);
  const normalized = (input: string, { gain, epsilon }: StoredHeadNorm) => {
    // In a shape, 0 keeps the dimension that is there.
    const heads = graph.node('Reshape', [input, graph.int64([0, 0, -1, spec.headDim])], `${input}.heads`);
    const attributes = { axis: -1, epsilon: { float: epsilon } };
    const inputs = [heads, graph.weight(gain)];
    const rows = graph.node('SimplifiedLayerNormalization', inputs, `${input}.normalized`, attributes);
    return graph.node('Reshape', [rows, graph.int64([0, 0, -1])], `${input}.rows`);
  };
  return [normalized(query, norms.query), normalized(key, norms.key), value];
}

function splitProjections(graph: GraphBuilder, spec: DecoderSpec, qkv: string, name: string): string[] {
  const [queryWidth, cacheWidth] = [spec.heads * spec.headDim, spec.kvHeads * spec.headDim];
  const sizes = graph.int64([queryWidth, cacheWidth, cacheWidth]);
  return graph.nodes('Split', [qkv, sizes], [`${name}.query`, `${name}.key`, `${name}.value`], { axis: 2 });
}

function cacheNames(kind: string, index: number): [string, string] {
  return [`${kind}.${index}.key`, `${kind}.${index}.value`];
}

function rotaryTables(graph: GraphBuilder, rope: StoredRope | null): string[] {
  return rope ? [graph.weight(rope.cos), graph.weight(rope.sin)] : [];
}

function attentionAttributes(spec: DecoderSpec, { window }: StoredLayer, rotary: boolean) {
  return {
    num_heads: spec.heads,
    kv_num_heads: spec.kvHeads,
    do_rotary: rotary ? 1 : 0,
    rotary_interleaved: 0,
    scale: { float: spec.attentionScale },
    ...(window === null || window >= spec.contextLength ? {} : { local_window_size: window }),
  };
}

/**
 * Two ways to attend over the same int8 keys and values. Decoding reads the int8 cache itself. A prompt's many rows would pay for that
 * at every row, so they attend over a float32 scratch cache whose keys and values are rounded to the int8 grid first: the runtime then
 * stores them as int8 without any loss. The results are [attended, int8 present, float32 present] of the branch taken; the other
 * branch's caches are passed through (and bound to one position only).
 */
function quantizedAttention(
  frame: Frame,
  cache: QuantizedCache,
  layer: StoredLayer,
  projections: readonly string[],
  index: number,
): string[] {
  const { graph, spec } = frame;
  const name = `layers.${index}`;
  const queryWidth = spec.heads * spec.headDim;
  const past = cacheNames('past_key_values', index);
  const scratch = cacheNames('scratch', index);
  const scales = cache.scales[index];
  if (!scales) throw new Error(`layer ${index} has no cache scales`);
  const keyScale = graph.floats(`${name}.key_scale`, scales.key);
  const valueScale = graph.floats(`${name}.value_scale`, scales.value);
  const lengths = [frame.lastIndex, frame.total];
  const shape = (batch: string, positions: string) => [batch, spec.kvHeads, positions, spec.headDim];
  const int8 = cacheNames('present', index).map((port) => ({
    name: port,
    type: 'int8' as const,
    shape: shape('batch', 'capacity'),
  }));
  const float = cacheNames('scratch_present', index).map((port) => ({
    name: port,
    type: 'float32' as const,
    shape: shape('scratch_batch', 'scratch_capacity'),
  }));
  const attended = { name: `${name}.attended`, type: 'float32' as const, shape: ['batch', 'sequence', queryWidth] };
  const pass = (names: readonly string[], branch: string) =>
    names.map((port) => graph.node('Identity', [port], `${branch}.${port}`));

  const prefill = () => {
    const own = `${name}.prefill`;
    const [packed = '', ...rest] = projections;
    const [query = '', key = '', value = ''] = layer.headNorms
      ? [packed, ...rest]
      : splitProjections(graph, spec, packed, own);
    const turned = (input: string, result: string) =>
      layer.rope
        ? graph.node(
            'RotaryEmbedding',
            [input, cache.firstPosition, ...rotaryTables(graph, layer.rope)],
            result,
            {},
            MS,
          )
        : input;
    // (QuantizeLinear with a step per channel takes ten times as long as these four.)
    const rounded = (input: string, scale: string, result: string) => {
      const steps = graph.node('Round', [graph.node('Div', [input, scale], `${result}.divided`)], `${result}.steps`);
      const clipped = graph.node('Clip', [steps, graph.float(-127), graph.float(127)], `${result}.clipped`);
      return graph.node('Mul', [clipped, scale], result);
    };
    const inputs = [
      turned(query, `${own}.query_turned`),
      rounded(turned(key, `${own}.key_turned`), keyScale, `${own}.key_rounded`),
      rounded(value, valueScale, `${own}.value_rounded`),
    ];
    const outputs = [`${own}.attended`, `${own}.scratch_key`, `${own}.scratch_value`];
    const [result = '', ...filled] = graph.nodes(
      'GroupQueryAttention',
      [...inputs, ...scratch, ...lengths],
      outputs,
      attentionAttributes(spec, layer, false),
      MS,
    );
    return [result, ...pass(past, own), ...filled];
  };
  const decode = () => {
    const own = `${name}.decode`;
    const tables = layer.rope ? rotaryTables(graph, layer.rope) : ['', ''];
    const inputs = [...projections, ...past, ...lengths, ...tables, '', '', '', keyScale, valueScale];
    const attributes = {
      ...attentionAttributes(spec, layer, layer.rope !== null),
      k_quant_type: 'PER_CHANNEL',
      v_quant_type: 'PER_CHANNEL',
      kv_cache_bit_width: 8,
    };
    const outputs = [`${own}.attended`, `${own}.key`, `${own}.value`];
    return [...graph.nodes('GroupQueryAttention', inputs, outputs, attributes, MS), ...pass(scratch, own)];
  };
  return graph.branch(cache.isPrefill, `${name}.attention`, [attended, ...int8, ...float], prefill, decode);
}
