/**
 * Proves that what was built is what it was built from: the result runs in the serving runtime against the source's float32 logits.
 * The float32 graph itself is held to an independent forward pass that shares no code with the graphs. Judges; publishes nothing.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { GraphSource } from '@slipway/inference/engine';
import type { ParityReport, Precision } from '@slipway/shared/contracts/manifest.ts';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import type { Checkpoint, TextFiles } from '../checkpoint.ts';
import { BOUNDS } from '../precision.ts';
import { type Divergence, LogitComparison } from './compare-logits.ts';
import { referenceLogits } from './reference/reference-logits.ts';
import { CHUNK, logitsAlong, rowOf, withLayout } from './run-graph.ts';
import { readPassages } from './text/passages.ts';

/** Tokens of the text that are compared: enough to tell one precision from another, few enough to take seconds. */
const COMPARED = 1024;
/** Tokens the slow, independent forward pass is asked for: at most, at least, and weights times tokens in between. */
const REFERENCE_MOST = 128;
const REFERENCE_LEAST = 12;
const REFERENCE_WORK = 2e9;

export interface ParityText {
  /** What a report calls it. */
  readonly name: string;
  readonly passages: readonly string[];
}

export async function bundledText(): Promise<ParityText> {
  return { name: 'bundled', passages: await readPassages('parity') };
}

/** What a cache's steps are chosen on: no passage of it is judged on. */
export async function calibrationText(): Promise<ParityText> {
  return { name: 'calibration', passages: await readPassages('calibration') };
}

/** Token ids of the text's passages, each at most a context long, COMPARED in all. */
export function passageTokens(text: ParityText, files: TextFiles, contextLength: number): number[][] {
  const tokenizer = loadTokenizer(files.tokenizerJson, files.tokenizerConfig);
  const passages: number[][] = [];
  let left = COMPARED;
  for (const passage of text.passages) {
    const ids = tokenizer
      .encode(passage, { addBos: true, parseSpecial: false })
      .slice(0, Math.min(left, contextLength));
    // A single token predicts nothing.
    if (ids.length > 1) passages.push(ids);
    left -= ids.length;
    if (left <= 1) break;
  }
  return passages;
}

/** The source's own arithmetic, slowly: as many of the first passage's tokens as a model of this size is given time for. */
export async function compareWithReference(
  checkpoint: Checkpoint,
  exact: GraphSource,
  tokens: readonly number[],
  parameters: number,
): Promise<Divergence> {
  const affordable = Math.min(REFERENCE_MOST, Math.max(REFERENCE_LEAST, Math.floor(REFERENCE_WORK / parameters)));
  const head = tokens.slice(0, affordable);
  return compareWithLogits(await referenceLogits(checkpoint, head, exact.graph.context_length), exact, head);
}

/** A graph, through both of its ways, against logits that are known. */
export async function compareWithLogits(
  source: readonly Float32Array[],
  result: GraphSource,
  tokens: readonly number[],
): Promise<Divergence> {
  const comparison = new LogitComparison();
  await withLayout(result, tokens.length, async (layout) => {
    let position = 0;
    for await (const row of logitsAlong(layout, tokens)) {
      const truth = source[position++];
      if (truth) comparison.add(truth, row, tokens[position]);
    }
  });
  return comparison.summary();
}

/** Two graphs over the same tokens; `onProgress` gets 0..1. */
export async function compareGraphs(
  source: GraphSource,
  result: GraphSource,
  passages: readonly (readonly number[])[],
  onProgress: (part: number) => void,
): Promise<Divergence> {
  const comparison = new LogitComparison();
  const longest = Math.max(...passages.map(({ length }) => length));
  const total = passages.reduce((sum, { length }) => sum + length, 0);
  let done = 0;
  await withLayout(source, longest, (exact) =>
    withLayout(result, longest, async (other) => {
      for (const passage of passages) {
        const rows = logitsAlong(other, passage);
        for (let start = 0; start < passage.length; start += CHUNK) {
          const chunk = passage.slice(start, start + CHUNK);
          const truth = await exact.prefill(0, chunk, start, 'all');
          for (const position of chunk.keys()) {
            const { value } = await rows.next();
            if (value) comparison.add(rowOf(truth, position, exact), value, passage[start + position + 1]);
          }
          done += chunk.length;
          onProgress(done / total);
        }
      }
    }),
  );
  return comparison.summary();
}

/** Whether the text side on disk is the source's: a tokenizer or template that was swapped or cut is another model. */
export async function sameText(folder: string, text: TextFiles): Promise<boolean> {
  const read = (name: string) => readFile(path.join(folder, name), 'utf8');
  const same = (json: string, value: unknown) => JSON.stringify(JSON.parse(json)) === JSON.stringify(value);
  if (!same(await read('tokenizer.json'), text.tokenizerJson)) return false;
  if (!same(await read('tokenizer_config.json'), text.tokenizerConfig)) return false;
  return text.chatTemplate === null || (await read('chat_template.jinja')) === text.chatTemplate;
}

export function report(divergence: Divergence, text: string, precision: Precision): ParityReport {
  const bounds = BOUNDS[precision];
  return {
    max_logit_error: divergence.maxLogitError,
    kl_divergence: divergence.klDivergence,
    top1_agreement: divergence.top1Agreement,
    perplexity: divergence.perplexity,
    perplexity_source: divergence.perplexitySource,
    tokens: divergence.positions,
    text,
    within_bounds:
      divergence.klDivergence <= bounds.kl_divergence &&
      divergence.top1Agreement >= bounds.top1_agreement &&
      divergence.perplexity <= bounds.perplexity_ratio * divergence.perplexitySource,
  };
}
