/**
 * What holds for which path before any route sees the request: who needs no key, what is asked so often that nobody wants to read of it,
 * and what browsers may do with the answer. One table for every service. Knows no route.
 */
import type { AnswerKind } from './security-headers.ts';

export interface PathPolicy {
  /** Answered without a key. */
  readonly isOpen: boolean;
  /** Asked every few seconds by machines: logged as debug. */
  readonly isProbe: boolean;
  readonly answers: AnswerKind;
}

const GUARDED: PathPolicy = { isOpen: false, isProbe: false, answers: 'data' };
/** The same in every Slipway, but for limits that are no secret; what their scripts ask for needs a key. */
const PAGE: PathPolicy = { isOpen: true, isProbe: false, answers: 'page' };

const EXACT = new Map<string, PathPolicy>([
  ['/', { ...GUARDED, isOpen: true }],
  ['/health', { ...GUARDED, isOpen: true, isProbe: true }],
  ['/healthz', { ...GUARDED, isOpen: true, isProbe: true }],
  ['/readyz', { ...GUARDED, isOpen: true, isProbe: true }],
  ['/openapi.json', { ...GUARDED, isOpen: true }],
  ['/metrics', { ...GUARDED, isProbe: true }],
]);

/** `pages`: such paths, and everything below them, are HTML. */
export function pathPolicy(pages: readonly string[]): (path: string) => PathPolicy {
  return (path) => {
    const isPage = pages.some((page) => path === page || path.startsWith(`${page}/`));
    return EXACT.get(path) ?? (isPage ? PAGE : GUARDED);
  };
}
