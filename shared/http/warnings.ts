/**
 * The `warnings` header: what of a request was ignored or changed. A list of quoted strings (RFC 9651), so that nothing a client sent
 * can break out of it.
 */
import type { Context } from 'hono';

export function tellWarnings(context: Context, warnings: readonly string[]): void {
  if (warnings.length > 0) context.header('warnings', warnings.map(quoted).join(', '));
}

/** Printable ASCII only; what else there is becomes a question mark. */
function quoted(text: string): string {
  return `"${text.replaceAll(/[^ -~]/g, '?').replaceAll(/["\\]/g, '\\$&')}"`;
}
