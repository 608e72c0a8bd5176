/**
 * Sends a request to the service that this page came from. Knows keys and failures, and nothing of what is asked.
 */
import { asServiceError, problemOf, ServiceError } from './service-error.ts';

export interface Access {
  /** Empty: none. */
  readonly apiKey: string;
  readonly signal?: AbortSignal;
}

export function get(path: string, access: Access): Promise<Response> {
  return send(path, { method: 'GET' }, access);
}

export function post(path: string, body: unknown, access: Access): Promise<Response> {
  return send(
    path,
    { method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } },
    access,
  );
}

/** ServiceError for every answer that is not a success. */
async function send(path: string, init: RequestInit, { apiKey, signal }: Access): Promise<Response> {
  const headers = new Headers(init.headers);
  if (apiKey !== '') headers.set('Authorization', `Bearer ${apiKey}`);
  try {
    const response = await fetch(path, { ...init, headers, signal: signal ?? null });
    if (response.ok) return response;
    const body: unknown = await response.json().catch(() => undefined);
    throw new ServiceError(problemOf(response.status, body, response.headers.get('retry-after')));
  } catch (error) {
    throw asServiceError(error);
  }
}
