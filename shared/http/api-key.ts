/**
 * Lets only those in who know the key, when there is one. Knows nothing of who they are.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { AppError } from '../contracts/errors.ts';

/** `Authorization: Bearer KEY` or `X-API-Key: KEY`, on every path that is not in `open`. AppError unauthorized otherwise. */
export function requireApiKey(apiKey: string | null, open: ReadonlySet<string>): MiddlewareHandler {
  const expected = apiKey === null ? null : digest(apiKey);
  return async (context, next) => {
    if (expected !== null && !open.has(context.req.path)) {
      const bearer = /^Bearer\s+(.+)$/i.exec(context.req.header('authorization') ?? '')?.[1];
      const given = bearer ?? context.req.header('x-api-key');
      if (given === undefined) {
        throw new AppError(
          'unauthorized',
          'an API key is needed: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`',
        );
      }
      // Digests have one length, so that the comparison takes the same time whatever was given.
      if (!timingSafeEqual(digest(given), expected))
        throw new AppError('unauthorized', 'this API key is not the right one');
    }
    await next();
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
