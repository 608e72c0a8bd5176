/**
 * How far one model's logits are from another's on the same tokens, position by position. Pure numbers; knows no model.
 */

export interface Divergence {
  /** Largest absolute difference of any logit. */
  readonly maxLogitError: number;
  /** Mean over positions of KL(source || result), in nats. */
  readonly klDivergence: number;
  /** Share of positions whose best token is the same. */
  readonly top1Agreement: number;
  readonly perplexity: number;
  readonly perplexitySource: number;
  readonly positions: number;
}

/** Collects positions one after the other; NaN in the result counts as an infinite error. */
export class LogitComparison {
  #maxLogitError = 0;
  #kl = 0;
  #agreed = 0;
  #loss = 0;
  #lossSource = 0;
  #positions = 0;
  #predicted = 0;

  /** Logits of one position from both, and the token that follows it (undefined at the end of a text). */
  add(source: Float32Array, result: Float32Array, next: number | undefined): void {
    const a = logSumExp(source);
    const b = logSumExp(result);
    let kl = 0;
    let largest = 0;
    for (let i = 0; i < source.length; i++) {
      const difference = (source[i] as number) - (result[i] as number);
      const logProbability = (source[i] as number) - a.value;
      kl += Math.exp(logProbability) * (difference - a.value + b.value);
      const error = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.abs(difference);
      if (error > largest) largest = error;
    }
    if (largest > this.#maxLogitError) this.#maxLogitError = largest;
    this.#kl += Number.isNaN(kl) ? Number.POSITIVE_INFINITY : kl;
    if (a.best === b.best) this.#agreed++;
    this.#positions++;
    if (next === undefined) return;
    this.#lossSource += a.value - (source[next] as number);
    this.#loss += b.value - (result[next] as number);
    this.#predicted++;
  }

  summary(): Divergence {
    return {
      maxLogitError: this.#maxLogitError,
      klDivergence: Math.max(0, this.#kl / this.#positions),
      top1Agreement: this.#agreed / this.#positions,
      perplexity: Math.exp(this.#loss / this.#predicted),
      perplexitySource: Math.exp(this.#lossSource / this.#predicted),
      positions: this.#positions,
    };
  }
}

function logSumExp(row: Float32Array): { value: number; best: number } {
  let best = 0;
  for (let i = 1; i < row.length; i++) if ((row[i] as number) > (row[best] as number)) best = i;
  const max = row[best] as number;
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum += Math.exp((row[i] as number) - max);
  return { value: max + Math.log(sum), best };
}
