/**
 * What surrounds every request: its id, its log line, and the mapping of what is thrown. Knows no route.
 */
import type { ErrorHandler, MiddlewareHandler, NotFoundHandler } from 'hono';
import { ANONYMOUS_CALLER } from '../contracts/api-keys.ts';
import { AppError } from '../contracts/errors.ts';
import { requestIdFrom } from '../lib/ids.ts';
import type { Logger } from '../lib/log.ts';
import { errorBody, errorHeaders, errorStatus } from './error-response.ts';
import type { Principal } from './principal.ts';

export interface RequestEnvironment {
  readonly Variables: {
    requestId: string;
    /** Who calls. Not set where a request ended before that was known. */
    principal: Principal;
    /** What a route adds to the request's one line in the log. */
    logged: Record<string, unknown>;
  };
}

/** Takes X-Request-ID or makes one, gives it back, and logs one line when the response begins. `isQuiet` paths are logged as debug. */
export function requestContext(log: Logger, isQuiet: (path: string) => boolean): MiddlewareHandler<RequestEnvironment> {
  return async (context, next) => {
    const startedAt = performance.now();
    const requestId = requestIdFrom(context.req.header('x-request-id'));
    context.set('requestId', requestId);
    context.set('logged', {});
    context.header('X-Request-ID', requestId);
    await next();
    const { method, path } = context.req;
    const level = isQuiet(path) && context.res.status < 500 ? 'debug' : 'info';
    log[level](
      {
        request_id: requestId,
        method,
        path,
        ...callerIn(context.get('principal')),
        status: context.res.status,
        ms: Math.round(performance.now() - startedAt),
        ...context.get('logged'),
      },
      'request',
    );
  };
}

/** The key's name; the variable is not set when the request was refused before. */
function callerIn(principal: Principal | undefined): { key?: string } {
  return principal === undefined || principal.name === ANONYMOUS_CALLER ? {} : { key: principal.name };
}

/** For Hono's onError. */
export function errorHandler(log: Logger): ErrorHandler<RequestEnvironment> {
  return (error, context) => {
    const requestId = context.get('requestId');
    const body = errorBody(error, requestId);
    context.set('logged', { ...context.get('logged'), error: body.error.code });
    if (!(error instanceof AppError)) log.error({ request_id: requestId, err: error }, 'a bug');
    else if (error.cause !== undefined) log.warn({ request_id: requestId, err: error }, error.message);
    return context.json(body, errorStatus(error), errorHeaders(error));
  };
}

/** For Hono's notFound: says which paths there are, or which method this path wants. */
export function notFoundHandler(routes: Readonly<Record<string, string>>): NotFoundHandler<RequestEnvironment> {
  return (context) => {
    const { method, path } = context.req;
    const wanted = routes[path];
    throw wanted === undefined
      ? new AppError('not_found', `${path} does not exist; there are ${Object.keys(routes).join(', ')}`)
      : new AppError('method_not_allowed', `${path} takes ${wanted}, not ${method}`);
  };
}
