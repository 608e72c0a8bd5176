/**
 * Holds a graph to what the program that trained the model computes of it: logits of passages, and greedy answers token by token. A
 * difference between that program's arithmetic and the graph's shows here and nowhere else. Runs no training code.
 */
import type { GraphSource } from '@slipway/inference/engine';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { TrainedParity } from '@slipway/shared/contracts/manifest.ts';
import { readSafetensors } from '../readers/safetensors.ts';
import { SourceFile } from '../readers/source-file.ts';
import { type Divergence, LogitComparison } from './compare-logits.ts';
import { logitsAlong, rowOf, withLayout } from './run-graph.ts';

export interface TrainedReference {
  /** Token ids. */
  readonly passages: readonly (readonly number[])[];
  /** A safetensors file: logits.0, logits.1 ..., float32 [tokens, vocabulary] of each passage. */
  readonly logitsFile: string;
  /** What it answers, always taking the most probable token. */
  readonly greedy: readonly { readonly prompt: readonly number[]; readonly ids: readonly number[] }[];
}

/** AppError invalid_source when the file does not hold what the passages need. */
export async function compareWithTrained(trained: TrainedReference, graph: GraphSource): Promise<Divergence> {
  const file = await SourceFile.open(trained.logitsFile);
  const comparison = new LogitComparison();
  try {
    const tensors = await readSafetensors(file);
    for (const [index, passage] of trained.passages.entries()) {
      const tensor = tensors.get(`logits.${index}`);
      if (tensor?.shape[0] !== passage.length || tensor.shape[1] !== graph.graph.vocab_size) {
        const found = tensor === undefined ? 'is missing' : `has the shape [${tensor.shape.join(', ')}]`;
        throw new AppError(
          'invalid_source',
          `${trained.logitsFile}: logits.${index} ${found}, for ${passage.length} tokens`,
        );
      }
      const truth = await tensor.read();
      const width = graph.graph.vocab_size;
      await withLayout(graph, passage.length, async (layout) => {
        let position = 0;
        for await (const row of logitsAlong(layout, passage)) {
          comparison.add(truth.subarray(position * width, (position + 1) * width), row, passage[position + 1]);
          position++;
        }
      });
    }
  } finally {
    await file.close();
  }
  return comparison.summary();
}

export interface GreedyComparison {
  readonly tokens: number;
  /** Where two tokens are so close that float32 cannot tell which is first, and the other one was taken. */
  readonly ties: number;
  /** The first token that differs by more, in words. */
  readonly fault: string | undefined;
}

/** `noise`: a difference of logits below which two tokens count as equally probable. */
export async function compareGreedy(
  { greedy }: TrainedReference,
  graph: GraphSource,
  noise: number,
): Promise<GreedyComparison> {
  let tokens = 0;
  let ties = 0;
  let fault: string | undefined;
  for (const [index, { prompt, ids }] of greedy.entries()) {
    await withLayout(graph, prompt.length + ids.length, async (layout) => {
      let row = rowOf(await layout.prefill(0, prompt, 0, 'last'), 0, layout);
      for (const [at, expected] of ids.entries()) {
        const best = bestOf(row);
        if (best !== expected) {
          const gap = (row[best] ?? Number.NaN) - (row[expected] ?? Number.NaN);
          if (!(gap <= noise)) {
            fault ??= `answer ${index}: token ${at} is ${best} instead of ${expected} (its logit is ${gap.toPrecision(3)} above)`;
            return;
          }
          ties++;
        }
        tokens++;
        if (at + 1 < ids.length) row = rowOf(await layout.decode([expected], [prompt.length + at]), 0, layout);
      }
    });
  }
  return { tokens, ties, fault };
}

/** The first of the largest, as torch and the engine choose. */
function bestOf(row: Float32Array): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if ((row[i] as number) > (row[best] as number)) best = i;
  return best;
}

/** What a manifest says of it. */
export function trainedParity(divergence: Divergence, greedy: GreedyComparison): TrainedParity {
  return {
    max_logit_error: divergence.maxLogitError,
    kl_divergence: divergence.klDivergence,
    top1_agreement: divergence.top1Agreement,
    tokens: divergence.positions,
    greedy_tokens: greedy.tokens,
    greedy_ties: greedy.ties,
  };
}
