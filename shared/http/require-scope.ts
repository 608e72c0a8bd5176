/**
 * Keeps callers from routes they may not use. Knows nothing of keys or of what the routes do.
 */
import type { MiddlewareHandler } from 'hono';
import type { Scope } from '../contracts/api-keys.ts';
import { AppError } from '../contracts/errors.ts';
import { hasScope } from './principal.ts';
import type { RequestEnvironment } from './request-context.ts';

/** Stands before a route: `app.post('/models/load', requireScope('admin'), ...)`. AppError forbidden when the caller may not. */
export function requireScope(scope: Scope): MiddlewareHandler<RequestEnvironment> {
  return async (context, next) => {
    const principal = context.get('principal');
    if (!hasScope(principal, scope)) {
      const { name, scopes } = principal;
      const has = scopes.length === 0 ? 'none' : scopes.join(' and ');
      throw new AppError(
        'forbidden',
        `${context.req.path} needs a key with the scope ${scope}; the key ${name} has ${has}`,
      );
    }
    await next();
  };
}
