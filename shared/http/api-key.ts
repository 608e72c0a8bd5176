/**
 * Finds out who calls, by the key in the request. Knows nothing of what they may do.
 */
import type { MiddlewareHandler } from 'hono';
import { AppError } from '../contracts/errors.ts';
import type { KeyRing } from './key-ring.ts';
import { EVERYBODY, PASSER_BY, type Principal } from './principal.ts';
import type { RequestEnvironment } from './request-context.ts';

/** Sets `principal`. On every path that is not `isOpen` a key is needed, when there are keys: AppError unauthorized otherwise. */
export function identifyCaller(
  keys: KeyRing,
  isOpen: (path: string) => boolean,
): MiddlewareHandler<RequestEnvironment> {
  return async (context, next) => {
    const isOpenPath = keys.isLocked && isOpen(context.req.path);
    const principal = isOpenPath ? PASSER_BY : callerOf(keys, (name) => context.req.header(name));
    context.set('principal', principal);
    await next();
  };
}

/** By `Authorization: Bearer KEY` or `X-API-Key: KEY`. */
function callerOf(keys: KeyRing, header: (name: string) => string | undefined): Principal {
  if (!keys.isLocked) return EVERYBODY;
  const bearer = /^Bearer\s+(.+)$/i.exec(header('authorization') ?? '')?.[1];
  const given = bearer ?? header('x-api-key');
  if (given !== undefined) return keys.identify(given);
  throw new AppError(
    'unauthorized',
    'an API key is needed: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`',
  );
}
