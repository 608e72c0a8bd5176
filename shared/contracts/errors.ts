/**
 * Every error code a user can see, and the one error class that carries it. What is not an AppError is a bug.
 */

/** code -> HTTP status (also the meaning of the exit code: 2 for 4xx, 1 for the rest). */
export const ERROR_STATUS = {
  invalid_json: 400,
  unauthorized: 401,
  /** The key is right, but may not do this. */
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  body_too_large: 413,
  /** This caller has sent too much; others are served. */
  rate_limited: 429,
  invalid_field: 422,
  /** A checkpoint, file or folder that cannot be read as what it claims to be. */
  invalid_source: 422,
  unsupported_source: 422,
  parity_failed: 422,
  already_exists: 409,
  /** Somebody else was quicker, or something still points at it; the message says how things are now. */
  conflict: 409,
  disk_full: 507,
  internal: 500,
  engine_failed: 500,
  /** A hub that a source is fetched from cannot be reached, or not now. */
  source_unavailable: 502,
  model_not_ready: 503,
  overloaded: 503,
  draining: 503,
  /** The store behind the bucket does not answer, or answers with a failure of its own. */
  bucket_unavailable: 503,
  timeout: 504,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

/** `message` is for the user: what was wrong, where, and what to do. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  /** Seconds a client should wait, for 429 and the 503s; fractions count for the 429. */
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; retryAfter?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryAfter = options.retryAfter;
  }
}
