/**
 * What a request adds to the logits before a token is drawn: biases of tokens and of runs of tokens, penalties for what was generated,
 * the wish to end. One per sequence; knows what was generated and nothing of how a token is drawn.
 */
import type { Sampling } from './contract.ts';

export interface LogitProcessor {
  /** Changes the row in place. */
  apply(row: Float32Array): void;
  accept(token: number): void;
}

export interface ProcessedRequest {
  readonly sampling: Sampling;
  readonly prompt: readonly number[];
  /** What ends the sequence. */
  readonly endTokenIds: readonly number[];
  readonly minNewTokens: number;
}

/** In the order of Hugging Face's processors: biases, penalties, what may end. Undefined when the logits stay as they are. */
export function createLogitProcessor(request: ProcessedRequest): LogitProcessor | undefined {
  const { sampling, endTokenIds, minNewTokens } = request;
  const steps: LogitProcessor[] = [];
  if (sampling.bias !== undefined) steps.push(tokenBias(sampling.bias));
  if (sampling.sequenceBias !== undefined) steps.push(sequenceBias(sampling.sequenceBias, request.prompt));
  if (sampling.repetitionPenalty !== 1) steps.push(repetitionPenalty(request.prompt, sampling.repetitionPenalty));
  const { presencePenalty = 0, frequencyPenalty = 0 } = sampling;
  if (presencePenalty !== 0 || frequencyPenalty !== 0) steps.push(countPenalty(presencePenalty, frequencyPenalty));
  if (sampling.postStop !== undefined) steps.push(postStop(sampling.postStop, endTokenIds));
  if (minNewTokens > 0) steps.push(noEndBefore(minNewTokens, endTokenIds));
  if (steps.length === 0) return undefined;
  return {
    apply(row) {
      for (const step of steps) step.apply(row);
    },
    accept(token) {
      for (const step of steps) step.accept(token);
    },
  };
}

function add(row: Float32Array, token: number, amount: number): void {
  const value = row[token];
  if (value !== undefined) row[token] = value + amount;
}

function tokenBias(biases: NonNullable<Sampling['bias']>): LogitProcessor {
  return {
    apply(row) {
      for (const { token, bias } of biases) add(row, token, bias);
    },
    accept() {},
  };
}

/** As Hugging Face's SequenceBiasLogitsProcessor: the tokens before the last one may stand in the prompt. */
function sequenceBias(biases: NonNullable<Sampling['sequenceBias']>, prompt: readonly number[]): LogitProcessor {
  const longest = Math.max(...biases.map(({ tokens }) => tokens.length));
  const past = prompt.slice(Math.max(0, prompt.length - longest));
  return {
    apply(row) {
      for (const { tokens, bias } of biases) {
        const last = tokens.at(-1);
        if (last !== undefined && endsWith(past, tokens, tokens.length - 1)) add(row, last, bias);
      }
    },
    accept(token) {
      past.push(token);
      if (past.length > longest) past.shift();
    },
  };
}

/** Whether `past` ends with the first `count` of `tokens`. */
function endsWith(past: readonly number[], tokens: readonly number[], count: number): boolean {
  if (past.length < count) return false;
  for (let i = 0; i < count; i++) if (past[past.length - count + i] !== tokens[i]) return false;
  return true;
}

/** Divides positive and multiplies negative logits of every token seen, the prompt's included (Keskar et al. 2019). */
function repetitionPenalty(prompt: readonly number[], penalty: number): LogitProcessor {
  const seen = new Set(prompt);
  return {
    apply(row) {
      for (const token of seen) {
        const value = row[token];
        if (value !== undefined) row[token] = value > 0 ? value / penalty : value * penalty;
      }
    },
    accept: (token) => seen.add(token),
  };
}

/** OpenAI's presence and frequency penalties: of what was generated, not of the prompt. */
function countPenalty(presence: number, frequency: number): LogitProcessor {
  const counts = new Map<number, number>();
  return {
    apply(row) {
      for (const [token, count] of counts) add(row, token, -(presence + frequency * count));
    },
    accept: (token) => counts.set(token, (counts.get(token) ?? 0) + 1),
  };
}

/** Adding to the few tokens that end is the same as subtracting from all others. */
function postStop({ markers, penalty }: NonNullable<Sampling['postStop']>, ends: readonly number[]): LogitProcessor {
  const longest = Math.max(...markers.map((marker) => marker.length));
  const past: number[] = [];
  let since = 0;
  return {
    apply(row) {
      for (const token of ends) add(row, token, penalty * since);
    },
    accept(token) {
      past.push(token);
      if (past.length > longest) past.shift();
      if (since > 0 || markers.some((marker) => endsWith(past, marker, marker.length))) since++;
    },
  };
}

function noEndBefore(count: number, ends: readonly number[]): LogitProcessor {
  let generated = 0;
  return {
    apply(row) {
      if (generated < count) for (const token of ends) row[token] = -Infinity;
    },
    accept() {
      generated++;
    },
  };
}
