/**
 * What `POST /api/v1/chat/completions` takes and gives; `/ws/chat` speaks the same. Parses a request and says in words what is wrong
 * with it. Knows nothing of how an answer is made or where conversations are kept.
 */
import { z } from 'zod';
import {
  type GenerateAnswer,
  type GenerateFinishReason,
  type GenerateLimits,
  type GenerateRequest,
  generateFields,
} from './generate.ts';
import { absent, integer, parseFields, type ValuesOf } from './request-fields.ts';

const CHAT_ROLES = ['system', 'user', 'assistant'] as const;

export const chatMessage = z.strictObject({ role: z.enum(CHAT_ROLES), content: z.string() });
export type ChatTurnMessage = z.infer<typeof chatMessage>;

const MOST_MESSAGES = 1000;
const SESSION_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** As a `session_id`: begin a session and choose its id. */
export const NEW_SESSION = 'new';
/** Ids that begin so are given by the service only: what is unknown among them has been, and is no more. */
export const GIVEN_SESSION_PREFIX = 'chat-';

export const sessionId = z
  .string()
  .regex(SESSION_ID, 'must be 1 to 128 letters, digits, dots, dashes or underscores, the first a letter or digit');

export function chatFields(limits: GenerateLimits) {
  // Of the others a turn has none: its prompt are the messages, its answer is one.
  const { prompt, max_new_tokens, num_return_sequences, logprobs, prompt_logprobs, ...shared } = generateFields(limits);
  return {
    messages: {
      schema: z.custom<readonly ChatTurnMessage[]>(areMessages).meta({
        type: 'array',
        items: {
          type: 'object',
          properties: { role: { enum: [...CHAT_ROLES] }, content: { type: 'string' } },
          required: ['role', 'content'],
          additionalProperties: false,
        },
        minItems: 1,
        maxItems: MOST_MESSAGES,
      }),
      allowed: `1 to ${MOST_MESSAGES} messages, each an object with a role (${CHAT_ROLES.join(', ')}) and a text as its content`,
    },
    session_id: {
      schema: sessionId.or(absent(undefined)),
      allowed: `"${NEW_SESSION}", or 1 to 128 letters, digits, dots, dashes or underscores, the first a letter or digit`,
    },
    max_tokens: integer(1, limits.maxNewTokens, limits.defaultMaxNewTokens),
    ...shared,
  } as const;
}

export type ChatRequest = ValuesOf<ReturnType<typeof chatFields>>;

/** Parses a decoded JSON body. AppError invalid_field names every wrong field and its range. */
export function chatRequestParser(limits: GenerateLimits): (body: unknown) => ChatRequest {
  const fields = chatFields(limits);
  return (body) =>
    parseFields(body, fields, 'messages', ({ messages }) =>
      messages === undefined || messages.at(-1)?.role === 'user'
        ? []
        : ['messages must end with what the user says, which is what is answered'],
    );
}

/** What the engine is asked for, the messages being `prompt` now. */
export function generateRequestOf(request: ChatRequest, prompt: readonly number[]): GenerateRequest {
  const { messages: _messages, session_id: _sessionId, max_tokens, ...shared } = request;
  return {
    ...shared,
    prompt,
    max_new_tokens: max_tokens,
    num_return_sequences: 1,
    logprobs: undefined,
    prompt_logprobs: undefined,
  };
}

/** Their number first: a schema would tell an issue for each of a million. */
function areMessages(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= MOST_MESSAGES &&
    value.every((one) => chatMessage.safeParse(one).success)
  );
}

export interface ChatAnswer {
  readonly id: string;
  readonly response: string;
  /** Of prompt and answer. */
  readonly tokens_used: number;
  /** Seconds, waiting included. */
  readonly processing_time: number;
  /** Null where nothing was kept. */
  readonly session_id: string | null;
  readonly model: string;
  readonly finish_reason: GenerateFinishReason | null;
  /** The oldest messages that the model was not shown, because its context has no room for them. */
  readonly dropped_messages: number;
  readonly usage: Pick<GenerateAnswer['usage'], 'prompt_tokens' | 'completion_tokens'> & {
    /** Of the prompt's tokens those that an earlier turn had already computed. */
    readonly cached_tokens: number;
  };
  readonly timings: Omit<GenerateAnswer['timings'], 'cached_prompt_tokens'>;
  readonly seed: number;
  readonly request_id: string;
  readonly system_fingerprint: string;
}

/** A server-sent event without a name. The last one is `event: done` with a ChatAnswer whose `response` is empty. */
export type ChatDelta = Pick<ChatAnswer, 'id' | 'session_id' | 'model' | 'response'>;

export interface ChatSession {
  readonly session_id: string;
  /** ISO 8601. */
  readonly created_at: string;
  readonly updated_at: string;
  readonly expires_in_seconds: number;
}

export interface ChatSessionContent extends ChatSession {
  readonly messages: readonly ChatTurnMessage[];
  /** The oldest messages that were removed because the session had grown too large. */
  readonly forgotten_messages: number;
}
