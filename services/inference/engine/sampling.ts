/**
 * From one row of logits to one token: top-k, top-p, min-p and the draw, in the order and with the meaning of Hugging Face's logits
 * processors. Knows nothing of sequences, slots or text. A row is never sorted: one scan notes the best logit of every block of 64,
 * so that later passes touch only the few blocks that can hold a kept token.
 * Indexed reads are cast to number: the indices are in range by construction, and a check per element would show in every step.
 */
import type { Sampling, TokenLogprobs } from './contract.ts';

const BLOCK = 64;

/** Scratch of one call, for rows up to its size; sampling is synchronous, so all sequences share it. */
let scratch = allocate(0);

function allocate(size: number) {
  const blocks = Math.ceil(size / BLOCK);
  return {
    size,
    blockBest: new Float32Array(blocks),
    blockWeight: new Float64Array(blocks),
    kept: new Int32Array(size),
    weights: new Float64Array(size),
  };
}

/** Below it nothing but the best logit has any weight; it keeps the divisions finite. */
const SMALLEST_TEMPERATURE = 1e-6;

const EXP_STEPS = 64;
const EXP_REACH = 48;
const EXP_TABLE = Float64Array.from({ length: EXP_REACH * EXP_STEPS }, (_, step) => Math.exp(-step / EXP_STEPS));

/**
 * exp(-x) for x >= 0: a table and three terms of the series (relative error below 3e-9), 4 times faster than Math.exp.
 * 0 from 48 on, where a whole vocabulary together weighs less than a double's rounding of the best token's weight.
 */
function weightAt(x: number): number {
  if (x >= EXP_REACH) return 0;
  const step = (x * EXP_STEPS) | 0;
  const r = step * (1 / EXP_STEPS) - x;
  return (EXP_TABLE[step] as number) * (1 + r * (1 + r * (1 / 2 + r * (1 / 6))));
}

/** Top-p's histogram of weight over the distance below the best logit. */
const binWeight = new Float64Array(4096);

/** Index of the largest logit, the lowest on ties; -1 when the row has a NaN, +Infinity or nothing finite. */
export function findBest(row: Float32Array): number {
  let best = -Infinity;
  let index = -1;
  for (let i = 0; i < row.length; i++) {
    const value = row[i] as number;
    // Written so that NaN takes the rare branch too.
    if (!(value <= best)) {
      if (!(value < Infinity)) return -1;
      best = value;
      index = i;
    }
  }
  return index;
}

/** The largest logit, each block's best left behind in `blockBest`; undefined when the row is not finite. */
function scanBlocks(row: Float32Array): number | undefined {
  if (scratch.size < row.length) scratch = allocate(row.length);
  let best = -Infinity;
  for (let start = 0, block = 0; start < row.length; start += BLOCK, block++) {
    const end = Math.min(start + BLOCK, row.length);
    let blockBest = row[start] as number;
    for (let i = start; i < end; i++) {
      const value = row[i] as number;
      if (!(value <= blockBest)) blockBest = value > blockBest ? value : Infinity;
    }
    scratch.blockBest[block] = blockBest;
    if (blockBest > best) best = blockBest;
  }
  return Number.isFinite(best) ? best : undefined;
}

/** The k-th largest logit of a row `scanBlocks` has just seen, by a heap of k. */
function kthLargest(row: Float32Array, k: number): number {
  const heap = row.slice(0, k).sort();
  for (let block = Math.floor(k / BLOCK); block * BLOCK < row.length; block++) {
    if ((scratch.blockBest[block] as number) <= (heap[0] as number)) continue;
    const end = Math.min((block + 1) * BLOCK, row.length);
    for (let i = Math.max(block * BLOCK, k); i < end; i++) {
      const value = row[i] as number;
      if (value <= (heap[0] as number)) continue;
      let hole = 0;
      for (let child = 1; child < k; child = 2 * hole + 1) {
        if (child + 1 < k && (heap[child + 1] as number) < (heap[child] as number)) child++;
        if ((heap[child] as number) >= value) break;
        heap[hole] = heap[child] as number;
        hole = child;
      }
      heap[hole] = value;
    }
  }
  return heap[0] as number;
}

/** Puts the tokens whose logit is not below `floor` into `kept`, lowest id first; returns how many. */
function keepAbove(row: Float32Array, floor: number): number {
  const { kept, blockBest } = scratch;
  let count = 0;
  for (let start = 0, block = 0; start < row.length; start += BLOCK, block++) {
    if ((blockBest[block] as number) < floor) continue;
    const end = Math.min(start + BLOCK, row.length);
    for (let i = start; i < end; i++) if ((row[i] as number) >= floor) kept[count++] = i;
  }
  return count;
}

/** Weights of the `count` kept tokens, relative to the best one's; returns their sum. */
function weighKept(row: Float32Array, best: number, temperature: number, count: number): number {
  const { kept, weights } = scratch;
  const inverse = 1 / temperature;
  let total = 0;
  for (let i = 0; i < count; i++) {
    const weight = weightAt((best - (row[kept[i] as number] as number)) * inverse);
    weights[i] = weight;
    total += weight;
  }
  return total;
}

/** Weights of all tokens summed per block; returns the total. */
function weighBlocks(row: Float32Array, best: number, temperature: number): number {
  const { blockWeight } = scratch;
  const inverse = 1 / temperature;
  let total = 0;
  for (let start = 0, block = 0; start < row.length; start += BLOCK, block++) {
    const end = Math.min(start + BLOCK, row.length);
    let sum = 0;
    for (let i = start; i < end; i++) sum += weightAt((best - (row[i] as number)) * inverse);
    blockWeight[block] = sum;
    total += sum;
  }
  return total;
}

/**
 * Top-p over the tokens not below `floor`: one stays while those before it, best first, hold less than `topP` of the weight; the
 * best always stays. Returns the smallest kept logit and how many tokens of exactly this logit stay (the lowest ids of them).
 */
function nucleus(row: Float32Array, best: number, temperature: number, floor: number, topP: number) {
  const total =
    floor === -Infinity
      ? weighBlocks(row, best, temperature)
      : weighKept(row, best, temperature, keepAbove(row, floor));
  const wanted = topP * total;
  let count = 0;
  let weight = 0;
  let reach = 1;
  // Most often few tokens hold the nucleus: look below the best one, and further only while that is not enough.
  while (weight < wanted && reach < EXP_REACH) {
    reach *= 4;
    count = keepAbove(row, Math.max(floor, best - temperature * reach));
    weight = weighKept(row, best, temperature, count);
  }
  if (count === 0) return { smallest: best, ties: 1 };

  // Only the bin that the border falls into is sorted.
  const { kept, weights } = scratch;
  const last = binWeight.length - 1;
  const scale = last / (temperature * reach);
  const binOf = (value: number) => Math.min(((best - value) * scale) | 0, last);
  binWeight.fill(0);
  for (let i = 0; i < count; i++) {
    const bin = binOf(row[kept[i] as number] as number);
    binWeight[bin] = (binWeight[bin] as number) + (weights[i] as number);
  }
  let above = 0;
  let border = 0;
  while (border < last && above + (binWeight[border] as number) < wanted) above += binWeight[border++] as number;
  const inBorder: number[] = [];
  for (let i = 0; i < count; i++) {
    const value = row[kept[i] as number] as number;
    if (binOf(value) === border) inBorder.push(value);
  }
  inBorder.sort((a, b) => b - a);
  let smallest = floor;
  let ties = Infinity;
  for (const value of inBorder) {
    if (above >= wanted && ties !== Infinity) break;
    ties = value === smallest && ties !== Infinity ? ties + 1 : 1;
    smallest = value;
    above += weightAt((best - value) / temperature);
  }
  return { smallest, ties };
}

/** Puts the tokens that the filters leave into `kept`, lowest id first; returns how many, at least one. */
function applyFilters(row: Float32Array, best: number, temperature: number, sampling: Sampling): number {
  let floor = sampling.topK > 0 && sampling.topK < row.length ? kthLargest(row, sampling.topK) : -Infinity;
  let border = { smallest: floor, ties: Infinity };
  if (sampling.topP < 1) {
    border = nucleus(row, best, temperature, floor, sampling.topP);
    floor = border.smallest;
  }
  if (sampling.minP > 0) floor = Math.max(floor, best + temperature * Math.log(Math.min(sampling.minP, 1)));
  const count = keepAbove(row, floor);
  if (border.ties === Infinity) return count;
  const { kept } = scratch;
  let end = 0;
  for (let i = 0; i < count; i++) {
    const token = kept[i] as number;
    if (row[token] === border.smallest && border.ties-- <= 0) continue;
    kept[end++] = token;
  }
  return end;
}

/** The tokens that the filters leave, lowest id first. Empty when the row is not finite. */
export function filterTokens(row: Float32Array, sampling: Sampling): Int32Array {
  const best = scanBlocks(row);
  if (best === undefined) return new Int32Array(0);
  const temperature = Math.max(sampling.temperature, SMALLEST_TEMPERATURE);
  return scratch.kept.slice(0, applyFilters(row, best, temperature, sampling));
}

/** Draws one of the first `count` kept tokens by weight; `target` is below the weights' sum, but for rounding. */
function drawKept(count: number, target: number): number {
  const { kept, weights } = scratch;
  let rest = target;
  let last = -1;
  for (let i = 0; i < count; i++) {
    const weight = weights[i] as number;
    if (weight === 0) continue;
    last = kept[i] as number;
    rest -= weight;
    if (rest < 0) break;
  }
  return last;
}

/**
 * Draws one token. `random` is uniform in [0, 1): the same row, sampling and number give the same token.
 * -1 when the row is not finite.
 */
export function drawToken(row: Float32Array, sampling: Sampling, random: number): number {
  const best = scanBlocks(row);
  if (best === undefined) return -1;
  const temperature = Math.max(sampling.temperature, SMALLEST_TEMPERATURE);
  if (sampling.topK > 0 || sampling.topP < 1 || sampling.minP > 0) {
    const count = applyFilters(row, best, temperature, sampling);
    return drawKept(count, random * weighKept(row, best, temperature, count));
  }

  // Without filters everything is kept: the block is drawn first, then the token in it.
  let rest = random * weighBlocks(row, best, temperature);
  let block = 0;
  let chosen = 0;
  for (; block * BLOCK < row.length; block++) {
    const weight = scratch.blockWeight[block] as number;
    if (weight === 0) continue;
    chosen = block;
    if (rest < weight) break;
    rest -= weight;
  }
  const start = chosen * BLOCK;
  const count = Math.min(BLOCK, row.length - start);
  for (let i = 0; i < count; i++) scratch.kept[i] = start + i;
  weighKept(row, best, temperature, count);
  return drawKept(count, rest);
}

/** Log probability of `token` and of the `count` best tokens, under the finite row as the model gave it. */
export function describeToken(row: Float32Array, token: number, count: number): TokenLogprobs {
  const best = scanBlocks(row) ?? Number.NaN;
  const normalizer = best + Math.log(weighBlocks(row, best, 1));
  const describe = (id: number) => ({ token: id, logprob: (row[id] as number) - normalizer });
  const wanted = Math.min(count, row.length);
  const found = wanted > 0 ? keepAbove(row, kthLargest(row, wanted)) : 0;
  const top = Array.from(scratch.kept.subarray(0, found))
    .sort((a, b) => (row[b] as number) - (row[a] as number) || a - b)
    .slice(0, wanted);
  return { logprob: describe(token).logprob, top: top.map(describe) };
}
