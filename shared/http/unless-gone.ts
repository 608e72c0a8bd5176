/**
 * For routes that read a body: a client that leaves meanwhile is no failure of theirs.
 */
import type { Context } from 'hono';
import { AppError } from '../contracts/errors.ts';
import type { RequestEnvironment, Route } from './request-context.ts';

/** What nginx logs for it; the client is gone and never sees it. */
export const CLIENT_CLOSED_REQUEST = 499;

export function unlessGone(route: (context: Context<RequestEnvironment>) => Promise<Response>): Route {
  return async (context) => {
    try {
      return await route(context);
    } catch (error) {
      if (error instanceof AppError || !context.req.raw.signal.aborted) throw error;
      return new Response(null, { status: CLIENT_CLOSED_REQUEST });
    }
  };
}
