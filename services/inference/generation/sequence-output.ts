/**
 * One sequence's answer while it grows: ids to text, stop strings, log probabilities, the reason it ended.
 * Knows nothing of the engine's scheduling or of HTTP.
 */
import type { GenerateFinishReason, GenerateOutput, OutputLogprobs } from '@slipway/shared/contracts/generate.ts';
import type { Tokenizer } from '@slipway/shared/text/contract.ts';
import { StreamDecoder } from '@slipway/shared/text/stream-decoder.ts';
import type { TokenLogprobs } from '../engine/contract.ts';

export interface SequenceOutputOptions {
  readonly stop: readonly string[];
  readonly logprobs: boolean;
  /** There is text before it, so that a leading space belongs to the answer. */
  readonly continuation: boolean;
  /** As StreamDecoder has it. */
  readonly shown?: ReadonlySet<number> | undefined;
}

export class SequenceOutput {
  readonly index: number;
  readonly #tokenizer: Tokenizer;
  readonly #decoder: StreamDecoder;
  readonly #tokens: number[] = [];
  readonly #logprobs: OutputLogprobs[] | undefined;
  #text = '';
  #finishReason: GenerateFinishReason | null = null;

  constructor(index: number, tokenizer: Tokenizer, options: SequenceOutputOptions) {
    this.index = index;
    this.#tokenizer = tokenizer;
    this.#decoder = new StreamDecoder(tokenizer, options.stop, options);
    this.#logprobs = options.logprobs ? [] : undefined;
  }

  get tokenCount(): number {
    return this.#tokens.length;
  }

  get finishReason(): GenerateFinishReason | null {
    return this.#finishReason;
  }

  /** What this token adds. The reason is `stop` when it completed a stop string; the sequence is then over. */
  push(token: number, logprobs: TokenLogprobs | undefined): GenerateOutput {
    this.#tokens.push(token);
    const { text, stopped } = this.#decoder.push(token);
    this.#text += text;
    if (stopped) this.#finishReason = 'stop';
    const added = logprobs === undefined ? [] : [describeLogprobs(this.#tokenizer, token, logprobs)];
    this.#logprobs?.push(...added);
    return this.#output(text, [token], added);
  }

  /** Ends it with the text that was still held back; the first reason stays. */
  finish(reason: GenerateFinishReason): GenerateOutput {
    let rest = '';
    if (this.#finishReason === null) {
      rest = this.#decoder.end();
      this.#text += rest;
      this.#finishReason = reason;
    }
    return this.#output(rest, [], []);
  }

  whole(): GenerateOutput {
    return this.#output(this.#text, this.#tokens, this.#logprobs ?? []);
  }

  #output(text: string, tokens: readonly number[], logprobs: readonly OutputLogprobs[]): GenerateOutput {
    const output = { index: this.index, text, token_ids: tokens, finish_reason: this.#finishReason };
    return this.#logprobs === undefined ? output : { ...output, logprobs };
  }
}

/** With the pieces of the vocabulary that the ids stand for. */
export function describeLogprobs(tokenizer: Tokenizer, token: number, logprobs: TokenLogprobs): OutputLogprobs {
  const named = (id: number, logprob: number) => ({ token_id: id, token: tokenizer.pieceOf(id), logprob });
  return { ...named(token, logprobs.logprob), top: logprobs.top.map((one) => named(one.token, one.logprob)) };
}
