/**
 * `/api/v1/chat/sessions`: conversations that are kept, listed, read and removed by who made them. Who may all names another owner.
 */
import type { ChatSession, ChatSessionContent } from '@slipway/shared/contracts/chat.ts';
import { sessionId } from '@slipway/shared/contracts/chat.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { mayAccess } from '@slipway/shared/http/principal.ts';
import type { RequestEnvironment } from '@slipway/shared/http/request-context.ts';
import type { Context } from 'hono';
import { messagesOf } from '../../../sessions/conversation.ts';
import type { SessionKey, SessionSummary } from '../../../sessions/session-store.ts';
import type { Route, ServiceParts } from '../../service-parts.ts';

const DEFAULT_LIMIT = 100;
const MOST_LISTED = 10_000;

export function listSessionsRoute({ sessions }: ServiceParts): Route {
  return async (context) => {
    const listed = await sessions.list(ownerIn(context), limitIn(context));
    return context.json({ sessions: listed.map(describe) });
  };
}

export function readSessionRoute({ sessions }: ServiceParts): Route {
  return async (context) => {
    const { conversation, ...summary } = await sessions.read(keyIn(context));
    return context.json({
      ...describe(summary),
      messages: messagesOf(conversation),
      forgotten_messages: conversation.forgotten,
    } satisfies ChatSessionContent);
  };
}

export function removeSessionRoute({ sessions }: ServiceParts): Route {
  return async (context) => {
    const key = keyIn(context);
    await sessions.remove(key);
    return context.json({ session_id: key.id, deleted: true });
  };
}

function keyIn(context: Context<RequestEnvironment>): SessionKey {
  const parsed = sessionId.safeParse(context.req.param('id'));
  if (!parsed.success) throw new AppError('invalid_field', `the session id ${parsed.error.issues[0]?.message}`);
  return { owner: ownerIn(context), id: parsed.data };
}

function ownerIn(context: Context<RequestEnvironment>): string {
  const principal = context.get('principal');
  const owner = context.req.query('owner') ?? principal.name;
  if (mayAccess(principal, owner)) return owner;
  throw new AppError(
    'forbidden',
    `owner: sessions of other keys need a key with the scope admin; leave it out for your own`,
  );
}

function limitIn(context: Context<RequestEnvironment>): number {
  const given = context.req.query('limit') ?? String(DEFAULT_LIMIT);
  const limit = /^\d{1,5}$/.test(given) ? Number(given) : 0;
  if (limit >= 1 && limit <= MOST_LISTED) return limit;
  throw new AppError('invalid_field', `limit must be an integer from 1 to ${MOST_LISTED}`);
}

function describe({ id, createdAt, updatedAt, expiresInSeconds }: SessionSummary): ChatSession {
  return {
    session_id: id,
    created_at: new Date(createdAt).toISOString(),
    updated_at: new Date(updatedAt).toISOString(),
    expires_in_seconds: expiresInSeconds,
  };
}
