/**
 * One turn of a conversation: what was said before is read, the prompt made, the answer generated and kept. Knows nothing of how the
 * answer reaches whoever asked.
 */
import { type ChatAnswer, type ChatRequest, generateRequestOf } from '@slipway/shared/contracts/chat.ts';
import type { GenerateAnswer } from '@slipway/shared/contracts/generate.ts';
import type { Principal } from '@slipway/shared/http/principal.ts';
import { newId } from '@slipway/shared/lib/ids.ts';
import { promptLimit } from '../../../generation/admission.ts';
import { prepareChat } from '../../../generation/chat-prompt.ts';
import type { Generation } from '../../../generation/generate.ts';
import type { LoadedModel } from '../../../generation/loaded-model.ts';
import {
  type Conversation,
  EMPTY_CONVERSATION,
  messagesOf,
  withAnswer,
  withMessages,
} from '../../../sessions/conversation.ts';
import type { OpenTurn } from '../../../sessions/sessions.ts';
import type { ServiceParts } from '../../service-parts.ts';
import type { Visit } from '../../visit.ts';

export interface ChatTurn {
  readonly id: string;
  /** Null where nothing is kept. */
  readonly sessionId: string | null;
  readonly model: string;
  readonly started: Promise<void>;
  /** Resolves when the answer is kept. Whatever happens, the session is free then. */
  run(onText: (text: string) => void): Promise<ChatAnswer>;
}

/** AppError invalid_field, not_found, conflict, model_not_ready, sessions_unavailable. */
export async function beginChatTurn(
  request: ChatRequest,
  principal: Principal,
  visit: Visit,
  { config, sessions }: ServiceParts,
): Promise<ChatTurn> {
  const model = await visit.model(request.model);
  const session =
    request.session_id === undefined ? null : await sessions.beginTurn(principal.name, request.session_id);
  try {
    const before = session?.conversation ?? EMPTY_CONVERSATION;
    const asked = session === null ? null : withMessages(before, request.messages);
    const messages = asked === null ? request.messages : messagesOf(asked);
    const { contextLength } = model.engine.info;
    const limit = promptLimit(request.max_tokens, { maxPromptTokens: config.maxPromptTokens, contextLength });
    const prompt = prepareChat(model, messages, { limit });
    const dropped = prompt.droppedMessages + before.forgotten;
    return turnOf({ visit, model, request, tokens: prompt.tokens, dropped, session, asked });
  } catch (error) {
    session?.end();
    throw error;
  }
}

interface PreparedTurn {
  readonly visit: Visit;
  readonly model: LoadedModel;
  readonly request: ChatRequest;
  readonly tokens: readonly number[];
  readonly dropped: number;
  readonly session: OpenTurn | null;
  /** The session's conversation, with what was asked. */
  readonly asked: Conversation | null;
}

function turnOf({ visit, model, request, tokens, dropped, session, asked }: PreparedTurn): ChatTurn {
  const id = newId('gen');
  const started = Promise.withResolvers<void>();
  const sessionId = session?.id ?? null;
  let onText: (text: string) => void = () => {};
  const generation: Generation = visit.generation(model, {
    id,
    request: generateRequestOf(request, tokens),
    goesOn: true,
    onStart: started.resolve,
    onDelta: ({ text }) => onText(text),
  });
  return {
    id,
    sessionId,
    model: model.name,
    started: started.promise,
    async run(listener) {
      onText = listener;
      try {
        const answer = await visit.run(generation);
        if (session !== null && asked !== null) await session.keep(withAnswer(asked, answer.text));
        return chatAnswerOf(answer, sessionId, dropped);
      } finally {
        session?.end();
      }
    },
  };
}

function chatAnswerOf(answer: GenerateAnswer, sessionId: string | null, dropped: number): ChatAnswer {
  const { id, model, text, outputs, usage, timings, seed, request_id, system_fingerprint } = answer;
  const { cached_prompt_tokens, ...times } = timings;
  return {
    id,
    response: text,
    tokens_used: usage.prompt_tokens + usage.completion_tokens,
    processing_time: times.total_ms / 1000,
    session_id: sessionId,
    model,
    finish_reason: outputs[0]?.finish_reason ?? null,
    dropped_messages: dropped,
    usage: {
      prompt_tokens: usage.prompt_tokens,
      completion_tokens: usage.completion_tokens,
      cached_tokens: cached_prompt_tokens,
    },
    timings: times,
    seed,
    request_id,
    system_fingerprint,
  };
}

/** What a turn's line in the log says of its answer. */
export function summaryOf({ model, usage, timings, finish_reason, session_id, dropped_messages }: ChatAnswer) {
  return { model, ...usage, ...timings, finish_reason, is_session: session_id !== null, dropped_messages };
}
