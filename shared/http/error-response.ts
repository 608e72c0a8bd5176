/**
 * The one place where an error becomes a response. Of a bug nothing leaves the service but the request id; the log has
 * the rest. Knows nothing of who throws, and nothing of other services' shapes.
 */
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { AppError, ERROR_STATUS, type ErrorCode } from '../contracts/errors.ts';

export interface ErrorBody {
  readonly error: { readonly code: string; readonly message: string; readonly request_id: string };
}

/** How an error is told: some paths are another API's, whose clients know another shape. */
export interface ErrorShape {
  readonly status: (error: unknown) => ContentfulStatusCode;
  readonly body: (error: unknown, requestId: string) => object;
}

export const OWN_SHAPE: ErrorShape = { status: errorStatus, body: errorBody };

export function errorBody(error: unknown, requestId: string): ErrorBody {
  return {
    error: {
      code: error instanceof AppError ? error.code : 'internal',
      message: errorMessage(error, requestId),
      request_id: requestId,
    },
  };
}

export function errorMessage(error: unknown, requestId: string): string {
  if (error instanceof AppError) return error.message;
  return `something went wrong here; the log of request ${requestId} says what`;
}

export function errorStatus(error: unknown): (typeof ERROR_STATUS)[ErrorCode] {
  return error instanceof AppError ? ERROR_STATUS[error.code] : ERROR_STATUS.internal;
}

const RETRY_AFTER = 5;

/** `Retry-After` for what passes by itself; what kind of key is wanted where one is missing. */
export function errorHeaders(error: unknown): Record<string, string> {
  const status = errorStatus(error);
  const seconds = (error instanceof AppError ? error.retryAfter : undefined) ?? RETRY_AFTER;
  if (status === 401) return { 'WWW-Authenticate': 'Bearer realm="slipway"' };
  if (status === 503) return { 'Retry-After': String(seconds) };
  // openai's clients read the milliseconds.
  if (status === 429) {
    return { 'Retry-After': String(Math.ceil(seconds)), 'retry-after-ms': String(Math.ceil(seconds * 1000)) };
  }
  return {};
}
