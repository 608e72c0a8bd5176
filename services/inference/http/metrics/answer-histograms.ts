/**
 * The histograms that every answered request adds one value to, as one table.
 */
import { Histogram, type Registry } from 'prom-client';
import type { FinishedGeneration } from '../../generation/observer.ts';
import { LABELS, labelsOf, PER_TOKEN_BOUNDS, REQUEST_BOUNDS, TOKEN_BOUNDS } from './labels.ts';

interface AnswerHistogram {
  readonly name: string;
  readonly help: string;
  readonly buckets: number[];
  /** Undefined: this answer has none. */
  readonly value: (generation: FinishedGeneration) => number | undefined;
}

const HISTOGRAMS: readonly AnswerHistogram[] = [
  {
    name: 'vllm:request_time_per_output_token_seconds',
    help: 'Mean time per token of an answer, after its first.',
    buckets: PER_TOKEN_BOUNDS,
    value: secondsPerToken,
  },
  {
    name: 'vllm:request_prefill_time_seconds',
    help: 'A slot in the engine to the first token.',
    buckets: REQUEST_BOUNDS,
    value: (generation) => generation.prefillSeconds,
  },
  {
    name: 'vllm:request_decode_time_seconds',
    help: 'The first token to the last.',
    buckets: REQUEST_BOUNDS,
    value: (generation) => generation.decodeSeconds,
  },
  {
    name: 'vllm:request_inference_time_seconds',
    help: 'A slot in the engine to the last token.',
    buckets: REQUEST_BOUNDS,
    value: ({ prefillSeconds, decodeSeconds }) => prefillSeconds + decodeSeconds,
  },
  {
    name: 'vllm:request_prompt_tokens',
    help: 'Tokens of the prompt.',
    buckets: TOKEN_BOUNDS,
    value: (generation) => generation.promptTokens,
  },
  {
    name: 'vllm:request_generation_tokens',
    help: 'Tokens of the answer, all outputs together.',
    buckets: TOKEN_BOUNDS,
    value: (generation) => generation.completionTokens,
  },
  {
    name: 'vllm:request_max_num_generation_tokens',
    help: 'Tokens of the longest output.',
    buckets: TOKEN_BOUNDS,
    value: (generation) => generation.longestOutput,
  },
  {
    name: 'vllm:request_params_max_tokens',
    help: 'New tokens the request allowed.',
    buckets: TOKEN_BOUNDS,
    value: (generation) => generation.maxNewTokens,
  },
  {
    name: 'vllm:request_params_n',
    help: 'Outputs the request asked for.',
    buckets: [1, 2, 5, 10],
    value: (generation) => generation.outputs,
  },
];

/** Undefined for an answer of one token. */
export function secondsPerToken({ longestOutput, decodeSeconds }: FinishedGeneration): number | undefined {
  return longestOutput < 2 ? undefined : decodeSeconds / (longestOutput - 1);
}

export class AnswerHistograms {
  readonly #all: readonly { readonly histogram: Histogram; readonly value: AnswerHistogram['value'] }[];

  constructor(registry: Registry) {
    this.#all = HISTOGRAMS.map(({ name, help, buckets, value }) => ({
      histogram: new Histogram({ name, help, buckets, labelNames: LABELS, registers: [registry] }),
      value,
    }));
  }

  begin(model: string): void {
    for (const { histogram } of this.#all) histogram.zero(labelsOf(model));
  }

  observe(model: string, generation: FinishedGeneration): void {
    for (const { histogram, value } of this.#all) {
      const observed = value(generation);
      if (observed !== undefined) histogram.observe(labelsOf(model), observed);
    }
  }
}
