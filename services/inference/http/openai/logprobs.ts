/**
 * Log probabilities in the three ways in which clients read them: OpenAI's lists of a completion, its entries of a chat, and vLLM's
 * objects of a prompt. Pure.
 */
import type { OutputLogprobs } from '@slipway/shared/contracts/generate.ts';
import type { ChatLogprobs } from '@slipway/shared/contracts/openai/chat.ts';
import type { CompletionLogprobs, PromptLogprobs } from '@slipway/shared/contracts/openai/completion.ts';
import type { Tokenizer } from '@slipway/shared/text/contract.ts';
import { StreamDecoder } from '@slipway/shared/text/stream-decoder.ts';
import { tokenText } from './token-text.ts';

/** One choice's lists, which may come in several pieces: it remembers how much text came before. */
export class CompletionLogprobWriter {
  readonly #tokenizer: Tokenizer;
  readonly #decoder: StreamDecoder;
  #offset = 0;

  /** `continuation`: as StreamDecoder has it. */
  constructor(tokenizer: Tokenizer, options: { continuation: boolean }) {
    this.#tokenizer = tokenizer;
    this.#decoder = new StreamDecoder(tokenizer, [], options);
  }

  /** `logprobs`: null for a token that nothing precedes. */
  write(tokens: readonly number[], logprobs: readonly (OutputLogprobs | null)[]): CompletionLogprobs {
    const entries = tokens.map((token, index) => ({ token, logprob: logprobs[index] ?? null }));
    return {
      tokens: entries.map(({ token }) => tokenText(this.#tokenizer, token)),
      token_logprobs: entries.map(({ logprob }) => logprob?.logprob ?? null),
      top_logprobs: entries.map(({ logprob }) => (logprob === null ? null : this.#topOf(logprob))),
      text_offset: entries.map(({ token }) => this.#offsetBefore(token)),
    };
  }

  /** The chosen token's is there, whether or not it is among the best. Of tokens written alike the best counts. */
  #topOf(entry: OutputLogprobs): Record<string, number> {
    const top = new Map<string, number>();
    for (const { token_id, logprob } of [...entry.top, entry]) {
      const text = tokenText(this.#tokenizer, token_id);
      if (!top.has(text)) top.set(text, logprob);
    }
    return Object.fromEntries(top);
  }

  #offsetBefore(token: number): number {
    const before = this.#offset;
    for (const _character of this.#decoder.push(token).text) this.#offset++;
    return before;
  }
}

export function chatLogprobs(tokenizer: Tokenizer, entries: readonly OutputLogprobs[]): ChatLogprobs {
  const one = ({ token_id, logprob }: { readonly token_id: number; readonly logprob: number }) => {
    const bytes = tokenizer.bytesOf(token_id);
    return { token: tokenText(tokenizer, token_id), logprob, bytes: bytes.length === 0 ? null : [...bytes] };
  };
  return { content: entries.map((entry) => ({ ...one(entry), top_logprobs: entry.top.map(one) })), refusal: null };
}

/** A token's rank is known when it is among the best that were asked for. */
export function promptLogprobs(tokenizer: Tokenizer, entries: readonly (OutputLogprobs | null)[]): PromptLogprobs {
  return entries.map((entry) => {
    if (entry === null) return null;
    const ranked = entry.top.map(({ token_id, logprob }, index) => ({ token_id, logprob, rank: index + 1 }));
    const isRanked = ranked.some(({ token_id }) => token_id === entry.token_id);
    const all = isRanked ? ranked : [{ token_id: entry.token_id, logprob: entry.logprob, rank: null }, ...ranked];
    return Object.fromEntries(
      all.map(({ token_id, logprob, rank }) => [
        String(token_id),
        { logprob, rank, decoded_token: tokenText(tokenizer, token_id) },
      ]),
    );
  });
}
