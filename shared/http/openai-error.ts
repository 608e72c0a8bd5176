/**
 * Errors as OpenAI's clients read them. Knows no path, and nothing of who throws.
 */
import { AppError, type ErrorCode } from '../contracts/errors.ts';
import type { OpenAiError } from '../contracts/openai/answer-parts.ts';
import { type ErrorShape, errorMessage, errorStatus } from './error-response.ts';

/** What OpenAI calls it where it has a name of its own. */
const CODES: Partial<Readonly<Record<ErrorCode, string>>> = {
  unauthorized: 'invalid_api_key',
  rate_limited: 'rate_limit_exceeded',
  prompt_too_long: 'context_length_exceeded',
};
const WRONG_REQUEST = 422;

export const OPENAI_SHAPE: ErrorShape = {
  status(error) {
    const status = errorStatus(error);
    return status === WRONG_REQUEST ? 400 : status;
  },
  body: openAiError,
};

export function openAiError(error: unknown, requestId: string): OpenAiError {
  const known = error instanceof AppError ? error : undefined;
  const code = known?.code ?? 'internal';
  const isMissingModel = code === 'not_found' && known?.field === 'model';
  return {
    error: {
      message: errorMessage(error, requestId),
      type: typeOf(errorStatus(error)),
      code: isMissingModel ? 'model_not_found' : (CODES[code] ?? code),
      param: known?.field ?? null,
    },
  };
}

function typeOf(status: number): string {
  if (status >= 500) return 'server_error';
  return status === 429 ? 'rate_limit_error' : 'invalid_request_error';
}
