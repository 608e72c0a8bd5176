/**
 * `POST /ws/chat`, which only a WebSocket of this service asks: one turn, its text told piece by piece. To everybody else there is no such
 * path. Knows nothing of sockets.
 */
import { type ChatAnswer, type ChatDelta, chatRequestParser } from '@slipway/shared/contracts/chat.ts';
import type { Route, ServiceParts } from '../../service-parts.ts';
import { visited } from '../../visit.ts';
import { beginChatTurn, summaryOf } from './chat-turn.ts';

interface AskedTurn {
  /** The request id of the socket's handshake, for the log. */
  readonly connection: string;
  readonly body: object;
  readonly onDelta: (delta: ChatDelta) => void;
}

const asked = new WeakMap<Request, AskedTurn>();
const answers = new WeakMap<Request, ChatAnswer>();

/** Gives the question how it was answered, to be asked when the request has been dispatched. */
export function askOverSocket(request: Request, turn: AskedTurn): () => ChatAnswer | undefined {
  asked.set(request, turn);
  return () => answers.get(request);
}

export function socketTurnRoute(parts: ServiceParts): Route {
  const parse = chatRequestParser(parts.config);
  return async (context, next) => {
    const request = context.req.raw;
    const turn = asked.get(request);
    if (turn === undefined) return context.notFound();
    const { connection, body, onDelta } = turn;
    // A long history is not kept waiting.
    asked.delete(request);
    const answerTurn = visited(parts, async (visit) => {
      visit.log({ connection });
      const { id, sessionId, model, run } = await beginChatTurn(parse(body), context.get('principal'), visit, parts);
      const answer = await run((response) => {
        if (response !== '') onDelta({ id, session_id: sessionId, model, response });
      });
      visit.log(summaryOf(answer));
      answers.set(request, { ...answer, response: '' });
      return context.body(null);
    });
    return answerTurn(context, next);
  };
}
