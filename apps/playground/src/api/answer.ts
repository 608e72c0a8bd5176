/**
 * Asks for an answer and gives it piece by piece: a chat for models that have a template, a continued text for those that have none. The
 * one place that knows OpenAI's fields for it.
 */
import * as z from 'zod/mini';
import { readEvents } from './event-stream.ts';
import { type Access, post } from './request.ts';
import type { Sampling } from './sampling.ts';
import { messageOf, ServiceError } from './service-error.ts';
import { ChatLogprobs, LegacyLogprobs, type Token, TokenReader } from './token.ts';

export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export type Question =
  | { readonly mode: 'chat'; readonly messages: readonly Message[] }
  | { readonly mode: 'completion'; readonly prompt: string };

export interface AnswerPiece {
  readonly text: string;
  readonly tokens: readonly Token[];
  readonly finishReason: string | null;
  /** In the last piece. */
  readonly completionTokens: number | null;
}

const ALTERNATIVES = 5;

const Usage = z.optional(z.nullable(z.object({ completion_tokens: z.number() })));
const finishReason = z.optional(z.nullable(z.string()));

const ChatChunk = z.object({
  choices: z.array(
    z.object({
      delta: z.object({ content: z.optional(z.nullable(z.string())) }),
      logprobs: z.optional(z.nullable(ChatLogprobs)),
      finish_reason: finishReason,
    }),
  ),
  usage: Usage,
});

const CompletionChunk = z.object({
  choices: z.array(
    z.object({ text: z.string(), logprobs: z.optional(z.nullable(LegacyLogprobs)), finish_reason: finishReason }),
  ),
  usage: Usage,
});

/** ServiceError for what goes wrong before the first piece or between two. */
export async function* askFor(
  model: string,
  question: Question,
  sampling: Sampling,
  access: Access,
): AsyncGenerator<AnswerPiece> {
  const common = { model, ...fieldsOf(sampling), stream: true, stream_options: { include_usage: true } };
  const response =
    question.mode === 'chat'
      ? await post(
          '/v1/chat/completions',
          { ...common, messages: question.messages, logprobs: true, top_logprobs: ALTERNATIVES },
          access,
        )
      : await post('/v1/completions', { ...common, prompt: question.prompt, logprobs: ALTERNATIVES }, access);
  const tokens = new TokenReader();
  for await (const data of readEvents(response)) {
    const failure = messageOf(data);
    if (failure !== undefined) throw new ServiceError({ kind: 'failed', message: failure, retryAfter: null });
    yield question.mode === 'chat' ? chatPiece(data, tokens) : completionPiece(data, tokens);
  }
}

function chatPiece(data: unknown, tokens: TokenReader): AnswerPiece {
  const { choices, usage } = ChatChunk.parse(data);
  const [choice] = choices;
  return {
    text: choice?.delta.content ?? '',
    tokens: choice?.logprobs == null ? [] : tokens.chat(choice.logprobs),
    finishReason: choice?.finish_reason ?? null,
    completionTokens: usage?.completion_tokens ?? null,
  };
}

function completionPiece(data: unknown, tokens: TokenReader): AnswerPiece {
  const { choices, usage } = CompletionChunk.parse(data);
  const [choice] = choices;
  return {
    text: choice?.text ?? '',
    tokens: choice?.logprobs == null ? [] : tokens.legacy(choice.logprobs),
    finishReason: choice?.finish_reason ?? null,
    completionTokens: usage?.completion_tokens ?? null,
  };
}

/** What is off is not sent, so that the service's own default stands. */
function fieldsOf({ temperature, topP, topK, minP, repetitionPenalty, maxTokens, seed, stop }: Sampling): object {
  return {
    temperature,
    max_tokens: maxTokens,
    ...(topP === 1 ? {} : { top_p: topP }),
    ...(topK === 0 ? {} : { top_k: topK }),
    ...(minP === 0 ? {} : { min_p: minP }),
    ...(repetitionPenalty === 1 ? {} : { repetition_penalty: repetitionPenalty }),
    ...(seed === null ? {} : { seed }),
    ...(stop.length === 0 ? {} : { stop }),
  };
}
