/**
 * Makes the identifiers that tie an answer, a log line and a process together. Knows nothing of what they name.
 */
import { randomUUID } from 'node:crypto';

/** For example `gen-3f0c…`: a prefix that says what it names, then 32 random hexadecimal digits. OpenAI writes some with `_`. */
export function newId(prefix: string, separator: '-' | '_' = '-'): string {
  return `${prefix}${separator}${randomUUID().replaceAll('-', '')}`;
}

/** What a proxy or client may give us as a request id: printable ASCII without spaces, so that no log or header breaks. */
const ACCEPTABLE_REQUEST_ID = /^[!-~]{1,128}$/;

/** The caller's own id when it is safe to repeat, a new one otherwise. */
export function requestIdFrom(header: string | undefined): string {
  return header !== undefined && ACCEPTABLE_REQUEST_ID.test(header) ? header : newId('req');
}
