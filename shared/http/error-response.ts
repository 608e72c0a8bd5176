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

/** `Retry-After` for what passes by itself. */
export function errorHeaders(error: unknown): Record<string, string> {
  if (errorStatus(error) !== 503) return {};
  const seconds = error instanceof AppError ? error.retryAfter : undefined;
  return { 'Retry-After': String(seconds ?? RETRY_AFTER) };
}
