/**
 * `POST /api/v1/chat/completions`: a turn answered whole or as a stream of events. Knows its fields; leaves all else to the turn.
 */
import {
  type ChatAnswer,
  type ChatDelta,
  type ChatRequest,
  chatRequestParser,
} from '@slipway/shared/contracts/chat.ts';
import { errorBody } from '@slipway/shared/http/error-response.ts';
import { EventStream } from '@slipway/shared/http/event-stream.ts';
import type { RequestEnvironment } from '@slipway/shared/http/request-context.ts';
import type { Context } from 'hono';
import type { Route, ServiceParts } from '../../service-parts.ts';
import { type Visit, visited } from '../../visit.ts';
import { beginChatTurn, type ChatTurn, summaryOf } from './chat-turn.ts';

export function chatCompletionsRoute(parts: ServiceParts): Route {
  const parse = chatRequestParser(parts.config);
  return visited(parts, async (visit, context) => {
    const { turn, isStream } = await begin(visit, context, parts, parse);
    const { id, sessionId, model } = turn;
    if (!isStream) {
      const answer = await turn.run(() => {});
      visit.log(summaryOf(answer));
      return context.json(answer);
    }
    const events = new EventStream();
    const running = turn.run((response) => {
      if (response !== '') events.send({ id, session_id: sessionId, model, response } satisfies ChatDelta);
    });
    return visit.stream(events, turn.started, running, {
      done: (answer) => events.send({ ...answer, response: '' } satisfies ChatAnswer, 'done'),
      failed: (error) => events.send(errorBody(error, visit.requestId), 'error'),
      summary: summaryOf,
    });
  });
}

/** A function of its own: the body ends with it, and is not kept waiting. */
async function begin(
  visit: Visit,
  context: Context<RequestEnvironment>,
  parts: ServiceParts,
  parse: (body: unknown) => ChatRequest,
): Promise<{ turn: ChatTurn; isStream: boolean }> {
  const request = parse(await visit.body());
  return { turn: await beginChatTurn(request, context.get('principal'), visit, parts), isStream: request.stream };
}
