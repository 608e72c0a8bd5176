/**
 * What surrounds every request: its id, its log line, and the mapping of what is thrown. Knows no route.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Context, ErrorHandler, Handler, MiddlewareHandler, NotFoundHandler } from 'hono';
import { routePath } from 'hono/route';
import { ANONYMOUS_CALLER } from '../contracts/api-keys.ts';
import { AppError } from '../contracts/errors.ts';
import { requestIdFrom } from '../lib/ids.ts';
import type { Logger } from '../lib/log.ts';
import { type ErrorShape, errorHeaders, errorStatus, OWN_SHAPE } from './error-response.ts';
import type { Principal } from './principal.ts';
import type { Allowance } from './rate-limiter.ts';

export interface RequestEnvironment {
  /** What Node's server gives along with a request; not there for an upgrade. */
  readonly Bindings: {
    readonly incoming?: { readonly socket: Pick<IncomingMessage['socket'], 'remoteAddress'> };
    readonly outgoing?: Pick<ServerResponse, 'once' | 'writableFinished' | 'writableLength' | 'destroy'>;
  };
  readonly Variables: {
    requestId: string;
    /** Who calls. Not set where a request ended before that was known. */
    principal: Principal;
    /** What the caller may still use. Set with `principal`. */
    allowance: Allowance;
    /** What a route adds to the request's one line in the log. */
    logged: Record<string, unknown>;
  };
}

export type Route = Handler<RequestEnvironment>;

/** A request whose answer has been sent, or whose client has left. */
export interface FinishedRequest {
  readonly method: string;
  /** The pattern that it was registered with: `/generate`. Undefined where no route took it. */
  readonly route: string | undefined;
  readonly status: number;
  readonly seconds: number;
  /** The code of the error that was answered, at once or in a stream. */
  readonly error: string | undefined;
}

export interface RequestContextOptions {
  readonly log: Logger;
  /** Paths whose requests are logged as debug. */
  readonly isQuiet: (path: string) => boolean;
  /** Gives what its line in the log says besides. */
  readonly onBegun: (context: Context<RequestEnvironment>) => Record<string, unknown>;
  readonly onFinished: (request: FinishedRequest, context: Context<RequestEnvironment>) => void;
}

/** Takes X-Request-ID or makes one, gives it back, and logs one line when the answer has been sent. */
export function requestContext({
  log,
  isQuiet,
  onBegun,
  onFinished,
}: RequestContextOptions): MiddlewareHandler<RequestEnvironment> {
  return async (context, next) => {
    const startedAt = performance.now();
    const requestId = requestIdFrom(context.req.header('x-request-id'));
    context.set('requestId', requestId);
    context.set('logged', onBegun(context));
    context.header('X-Request-ID', requestId);
    const outgoing = context.env?.outgoing;
    const sent = new Promise<void>((resolve) => (outgoing === undefined ? resolve() : outgoing.once('close', resolve)));
    await next();
    // Not awaited: the answer is sent when this function has returned.
    void sent.then(() => {
      const { method, path } = context.req;
      const { status } = context.res;
      const route = routeOf(context);
      const seconds = (performance.now() - startedAt) / 1000;
      const logged = context.get('logged');
      log[levelOf(status, isQuiet(path))](
        {
          request_id: requestId,
          method,
          path,
          ...(route === undefined ? {} : { route }),
          ...callerIn(context.get('principal')),
          status,
          ms: Math.round(seconds * 1000),
          ...(outgoing?.writableFinished === false ? { client_left: true } : {}),
          ...logged,
        },
        'request',
      );
      onFinished(
        {
          method,
          route,
          status,
          seconds,
          error: typeof logged.error === 'string' ? logged.error : undefined,
        },
        context,
      );
    });
  };
}

/** Middleware is registered for `/*`; whoever answered came last. */
function routeOf(context: Context): string | undefined {
  const route = routePath(context, -1);
  return route === '/*' || route === '*' ? undefined : route;
}

function levelOf(status: number, isQuiet: boolean): 'debug' | 'info' | 'warn' {
  if (status >= 500) return 'warn';
  return isQuiet ? 'debug' : 'info';
}

/** The key's name; the variable is not set when the request was refused before. */
function callerIn(principal: Principal | undefined): { key?: string } {
  return principal === undefined || principal.name === ANONYMOUS_CALLER ? {} : { key: principal.name };
}

/** For Hono's onError. */
export function errorHandler(
  log: Logger,
  shapeOf: (path: string) => ErrorShape = () => OWN_SHAPE,
): ErrorHandler<RequestEnvironment> {
  return (error, context) => {
    const requestId = context.get('requestId');
    const shape = shapeOf(context.req.path);
    context.set('logged', { ...context.get('logged'), ...describeError(error, requestId, log) });
    return context.json(shape.body(error, requestId), shape.status(error), errorHeaders(error));
  };
}

/**
 * What the request's line says of an error. What it cannot say, the stack of a bug and the cause of an error, is logged at once, in a line of
 * its own.
 */
export function describeError(error: unknown, requestId: string, log: Logger): { error: string; reason?: string } {
  if (!(error instanceof AppError)) {
    log.error({ request_id: requestId, err: error }, 'a bug');
    return { error: 'internal' };
  }
  if (error.cause !== undefined) log.warn({ request_id: requestId, err: error }, error.message);
  // Of what the client did wrong the message may quote what it sent.
  return errorStatus(error) < 500 ? { error: error.code } : { error: error.code, reason: error.message };
}

/** For Hono's notFound: says that there is no such path, or which methods it takes. `methodsOf`: none for a path that is not there. */
export function notFoundHandler(methodsOf: (path: string) => readonly string[]): NotFoundHandler<RequestEnvironment> {
  return (context) => {
    const { method, path } = context.req;
    const methods = methodsOf(path);
    if (methods.length === 0) throw new AppError('not_found', `${path} does not exist; GET / lists what does`);
    context.header('Allow', methods.join(', '));
    throw new AppError('method_not_allowed', `${path} takes ${methods.join(' and ')}, not ${method}`);
  };
}
