/**
 * What is the same of every WebSocket here: how a page gives its key, what a message is, and how an error is told. Knows nothing of what is
 * said otherwise.
 */
import { AppError } from './errors.ts';

/** Before an API key in base64url, among the subprotocols: browsers let a page set no header. */
export const KEY_PROTOCOL_PREFIX = 'slipway.key.';

export interface SocketError {
  readonly error: { readonly code: string; readonly message: string; readonly request_id: string };
  /** Seconds, where it passes by itself. */
  readonly retry_after?: number;
}

/** Of a message's text. AppError invalid_json, invalid_field. */
export function messageFields(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : String(error);
    throw new AppError('invalid_json', `a message must be JSON: ${text === '' ? 'it is empty' : reason}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AppError('invalid_field', 'a message must be a JSON object with a type');
  }
  return { ...value };
}
