/**
 * The one place where an error becomes a response. Of a bug nothing leaves the service but the request id; the log has
 * the rest. Knows nothing of who throws.
 */
import { AppError, ERROR_STATUS, type ErrorCode } from '../contracts/errors.ts';

export interface ErrorBody {
  readonly error: { readonly code: string; readonly message: string; readonly request_id: string };
}

export function errorBody(error: unknown, requestId: string): ErrorBody {
  const known = error instanceof AppError;
  return {
    error: {
      code: known ? error.code : 'internal',
      message: known ? error.message : `something went wrong here; the log of request ${requestId} says what`,
      request_id: requestId,
    },
  };
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
