/**
 * A token with its probability and what else it could have been, from both of OpenAI's ways to say it. A character that several tokens
 * make up becomes one token here: half a character cannot be shown.
 */
import * as z from 'zod/mini';

const Alternative = z.object({ text: z.string(), logprob: z.number() });
export type Alternative = z.infer<typeof Alternative>;

export const Token = z.object({ text: z.string(), logprob: z.number(), top: z.array(Alternative) });
export type Token = z.infer<typeof Token>;

const ChatAlternative = z.object({
  token: z.string(),
  logprob: z.number(),
  bytes: z.optional(z.nullable(z.array(z.number()))),
});
export const ChatLogprobs = z.object({
  content: z.nullable(z.array(z.extend(ChatAlternative, { top_logprobs: z.array(ChatAlternative) }))),
});

export const LegacyLogprobs = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.nullable(z.number())),
  top_logprobs: z.nullable(z.array(z.nullable(z.record(z.string(), z.number())))),
});

/** Of one answer, in the order of its tokens. */
export class TokenReader {
  readonly #decoder = new TextDecoder();
  #unfinished = 0;

  chat(logprobs: z.infer<typeof ChatLogprobs>): Token[] {
    return (logprobs.content ?? []).flatMap(({ token, logprob, bytes, top_logprobs }) => {
      const text = bytes == null ? token : this.#decoder.decode(Uint8Array.from(bytes), { stream: true });
      const whole = logprob + this.#unfinished;
      this.#unfinished = text === '' && bytes?.length ? whole : 0;
      if (text === '') return [];
      return [{ text, logprob: rounded(whole), top: top_logprobs.map((one) => alternative(one.token, one.logprob)) }];
    });
  }

  legacy({ tokens, token_logprobs, top_logprobs }: z.infer<typeof LegacyLogprobs>): Token[] {
    return tokens.flatMap((text, index) => {
      const logprob = token_logprobs[index];
      if (text === '' || logprob == null) return [];
      const top = Object.entries(top_logprobs?.[index] ?? {}).map(([token, value]) => alternative(token, value));
      return [{ text, logprob: rounded(logprob), top: top.toSorted((one, other) => other.logprob - one.logprob) }];
    });
  }
}

function alternative(text: string, logprob: number): Alternative {
  return { text, logprob: rounded(logprob) };
}

/** The conversation is kept in a small store. */
function rounded(logprob: number): number {
  return Math.round(logprob * 10_000) / 10_000;
}
