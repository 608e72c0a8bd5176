/**
 * For routes that read a body: a client that leaves meanwhile is no failure of theirs.
 */

import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { RequestEnvironment } from '@slipway/shared/http/request-context.ts';
import type { Context } from 'hono';
import type { Route } from './service-parts.ts';
import { CLIENT_CLOSED_REQUEST } from './visit.ts';

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
