/**
 * Headers that tell browsers what they may do with an answer: nothing, when it is data; run what comes from here, when it is a page.
 * Knows no path.
 */
import type { MiddlewareHandler } from 'hono';

/** `data`: JSON, text, events. `page`: HTML with its scripts, styles and fonts. */
export type AnswerKind = 'data' | 'page';

const ALWAYS = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
} as const;

const HEADERS: Readonly<Record<AnswerKind, Readonly<Record<string, string>>>> = {
  data: {
    ...ALWAYS,
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    // A route that wants to be kept says so.
    'Cache-Control': 'no-store',
  },
  page: {
    ...ALWAYS,
    'Content-Security-Policy':
      "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'Cross-Origin-Opener-Policy': 'same-origin',
  },
};

/** For an answer that no middleware sees. */
export function dataHeaders(): Readonly<Record<string, string>> {
  return HEADERS.data;
}

/** On every answer, errors included. */
export function securityHeaders(kindOf: (path: string) => AnswerKind): MiddlewareHandler {
  return async (context, next) => {
    for (const [name, value] of Object.entries(HEADERS[kindOf(context.req.path)])) context.header(name, value);
    await next();
  };
}
