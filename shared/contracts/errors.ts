/**
 * Every error code a user can see, and the one error class that carries it. What is not an AppError is a bug.
 */

/** code -> HTTP status (also the meaning of the exit code: 2 for 4xx, 1 for the rest). */
export const ERROR_STATUS = {
  malformed_request: 400,
  invalid_json: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  body_too_large: 413,
  upgrade_required: 426,
  rate_limited: 429,
  headers_too_large: 431,
  invalid_field: 422,
  prompt_too_long: 422,
  invalid_source: 422,
  unsupported_source: 422,
  parity_failed: 422,
  already_exists: 409,
  conflict: 409,
  disk_full: 507,
  insufficient_memory: 507,
  internal: 500,
  engine_failed: 500,
  not_implemented: 501,
  source_unavailable: 502,
  model_not_ready: 503,
  overloaded: 503,
  draining: 503,
  bucket_unavailable: 503,
  sessions_unavailable: 503,
  timeout: 504,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

/** What each means and what to do about it, for docs/errors.md; the message of an error says it of the case at hand. */
export const ERROR_MEANINGS: Readonly<Record<ErrorCode, string>> = {
  malformed_request: 'The bytes that came are no HTTP request, or one without a usable address.',
  invalid_json: 'The body is no JSON, or no UTF-8.',
  unauthorized: 'No API key was sent, or one that is not known. Send `Authorization: Bearer KEY`.',
  forbidden: 'The key is right, but may not do this; or a page of another site asks.',
  not_found: 'There is no such path, model, version or file. The message names what there is.',
  method_not_allowed: 'The path takes another method; the message says which.',
  request_timeout: 'The request, or its body while others waited, came too slowly. Send it again.',
  body_too_large: 'The body is larger than `BODY_LIMIT_BYTES`.',
  upgrade_required: 'This path is a WebSocket, and was asked as if it were not.',
  rate_limited: "This caller has sent too much; others are served. Wait for `Retry-After`, or raise the key's limit.",
  headers_too_large: 'The headers have more than 16 KiB.',
  invalid_field:
    'A field, option or setting is unknown, of the wrong kind or out of its range. The message names it and its range.',
  prompt_too_long:
    'There are more tokens than fit before an answer, and none may be left out. Shorten it, or allow `truncation`.',
  invalid_source: 'A checkpoint, file or folder cannot be read as what it claims to be.',
  unsupported_source: 'A checkpoint is sound, but of a kind that is not converted.',
  parity_failed: 'A conversion drifted further from its source than allowed, and was not published.',
  already_exists: 'There is one of that name or port already.',
  conflict: 'Somebody else was quicker, or something still points at it. The message says how things are now.',
  disk_full: 'There is no room left where it should be written.',
  insufficient_memory:
    'A model does not fit into the memory there is, or that `MODELS_MAX_MEMORY` allows. The message has the numbers.',
  internal: 'A bug. The log has the rest, under the request id of the answer.',
  engine_failed: "The model's process died or failed under the request. It is started again; ask again.",
  not_implemented: 'This service does not do that, by whatever name it is usually asked for.',
  source_unavailable: 'The hub that a model is fetched from cannot be reached, or not now.',
  model_not_ready:
    'The model is being loaded, started again, or has failed; the message says which. Ask again after `Retry-After`.',
  overloaded: 'The queue is full, or the request could not be done before its deadline. Ask again after `Retry-After`.',
  draining: 'This instance is shutting down. Ask again: another takes it.',
  bucket_unavailable: 'The store behind the bucket does not answer, or answers with a failure of its own.',
  sessions_unavailable: 'What keeps the conversations does not answer, or cannot be written to. The message says why.',
  timeout: 'Not done within `TIMEOUT_SECONDS`. Ask for fewer tokens, or allow more time.',
};

/** `message` is for the user: what was wrong, where, and what to do. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  /** Seconds a client should wait, for 429 and the 503s; fractions count for the 429. */
  readonly retryAfter: number | undefined;
  /** The request's field that is at fault, for those who read it in an error of its own. */
  readonly field: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; retryAfter?: number; field?: string } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryAfter = options.retryAfter;
    this.field = options.field;
  }
}
