/**
 * Runs a graph in the real engine's runtime, for those who look at its logits. Judges nothing.
 */
import { type GraphSource, type Layout, openLayout, readProcessorLimits, threadsFor } from '@slipway/inference/engine';

/** Positions computed at once: bounds the memory their logits take. */
export const CHUNK = 64;
/** Of each passage, so many tokens at its end are decoded rather than read: the other half of what the engine does. */
const DECODED = 8;

/** What a graph gives for tokens read at once, [vocabulary] each. */
export async function logitsOf(graph: GraphSource, tokens: readonly number[]): Promise<Float32Array[]> {
  let rows: Float32Array[] = [];
  await withLayout(graph, tokens.length, async (layout) => {
    const logits = await layout.prefill(0, tokens, 0, 'all');
    rows = tokens.map((_, position) => rowOf(logits, position, layout).slice());
  });
  return rows;
}

/**
 * The logits of each token of a passage, teacher-forced through both of a layout's ways: read as a prompt in chunks, and its last
 * tokens decoded one by one. A row is valid until the next is asked for.
 */
export async function* logitsAlong(
  layout: Layout,
  passage: readonly number[],
): AsyncGenerator<Float32Array, undefined> {
  const decoded = Math.min(DECODED, passage.length >> 1);
  const prompt = passage.length - decoded;
  for (let start = 0; start < prompt; start += CHUNK) {
    const chunk = passage.slice(start, Math.min(start + CHUNK, prompt));
    const rows = await layout.prefill(0, chunk, start, 'all');
    for (const position of chunk.keys()) yield rowOf(rows, position, layout);
  }
  for (let position = prompt; position < passage.length; position++) {
    yield rowOf(await layout.decode([passage[position] ?? 0], [position]), 0, layout);
  }
  return undefined;
}

export async function withLayout(
  built: GraphSource,
  contextLength: number,
  use: (layout: Layout) => Promise<void>,
): Promise<void> {
  const layout = await openLayout({
    kind: 'graph',
    ...built,
    threads: threadsFor(readProcessorLimits(null)),
    slots: 1,
    contextLength,
  });
  try {
    await use(layout);
  } finally {
    await layout.close();
  }
}

export function rowOf(logits: Float32Array, position: number, layout: Layout): Float32Array {
  return logits.subarray(position * layout.vocabularySize, (position + 1) * layout.vocabularySize);
}
