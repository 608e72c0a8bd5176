/**
 * What `/ws/chat` takes and gives: the fields and answers of chat.ts, each message with a `type` and the turn it belongs to. Parses what a
 * client sends and says in words what is wrong with it. Knows nothing of how an answer is made.
 */
import { z } from 'zod';
import type { ChatAnswer, ChatDelta } from './chat.ts';
import { AppError } from './errors.ts';
import { absent, integer, parseFields } from './request-fields.ts';
import { messageFields, type SocketError } from './sockets.ts';

/** What a client that offers subprotocols must offer; the service answers with it. */
export const CHAT_PROTOCOL = 'slipway.chat';

/** Of one message. A longer history goes over HTTP. */
export const MOST_MESSAGE_BYTES = 512 * 1024;

/** Nobody guesses it: where no keys are asked for, whoever knows it hears the answer. */
const turnId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{15,127}$/);
const ALLOWED_TURN = '16 to 128 letters, digits, dots, dashes or underscores that nobody guesses, such as a UUID';

const ASKED = { turn: { schema: turnId.or(absent(undefined)), allowed: ALLOWED_TURN } } as const;
const NAMED = { turn: { schema: turnId, allowed: ALLOWED_TURN } } as const;
const RESUMED = { ...NAMED, after: integer(0, Number.MAX_SAFE_INTEGER, 0) } as const;

export type ChatSocketMessage =
  /** `body`: as `POST /api/v1/chat/completions` takes it. Without `turn` the service chooses one. */
  | { readonly type: 'chat'; readonly turn: string | undefined; readonly body: object }
  | { readonly type: 'cancel'; readonly turn: string }
  /** `after`: the number of the last event that arrived. */
  | { readonly type: 'resume'; readonly turn: string; readonly after: number }
  | { readonly type: 'ping' };

const TYPES = ['chat', 'cancel', 'resume', 'ping'] as const;

/** Of a message's text. AppError invalid_json, invalid_field. */
export function parseSocketMessage(text: string): ChatSocketMessage {
  const { type, ...fields } = messageFields(text);
  if (type === 'chat') {
    const { turn, ...body } = fields;
    return { type, ...parseFields({ turn }, ASKED, 'type'), body };
  }
  if (type === 'cancel') return { type, ...parseFields(fields, NAMED, 'turn') };
  if (type === 'resume') return { type, ...parseFields(fields, RESUMED, 'turn') };
  if (type === 'ping') return { type };
  throw new AppError('invalid_field', `type must be one of ${TYPES.join(', ')}`);
}

/** How a turn ends. `response` of an answer is empty: the deltas have said it. */
export type ChatTurnEnd =
  | ({ readonly type: 'done' } & ChatAnswer)
  | { readonly type: 'cancelled' }
  | ({ readonly type: 'error' } & SocketError);

/** `number`: of a turn's events, from 1; one that stands for several has the last one's. */
interface Numbered {
  readonly turn: string;
  readonly number: number;
}

export type ChatSocketEvent =
  /** The first after `chat` and `resume`: the turn's own events follow. */
  | { readonly type: 'accepted'; readonly turn: string }
  | ({ readonly type: 'delta' } & Numbered & ChatDelta)
  | (Numbered & ChatTurnEnd)
  /** Of a message that began no turn, or that the named one could not do. */
  | ({ readonly type: 'error'; readonly turn?: string } & SocketError)
  | { readonly type: 'pong' };
