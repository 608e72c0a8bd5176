/**
 * What holds for which path before any route sees the request: who needs no key, and what is asked so often that nobody wants to read
 * of it. One table, so that whoever adds a page adds one line. Knows no route.
 */

interface PathPolicy {
  /** Answered without a key. */
  readonly isOpen: boolean;
  /** Asked every few seconds by machines: logged as debug. */
  readonly isProbe: boolean;
}

const GUARDED: PathPolicy = { isOpen: false, isProbe: false };

const EXACT: Readonly<Record<string, PathPolicy>> = {
  '/': { isOpen: true, isProbe: false },
  '/health': { isOpen: true, isProbe: true },
  '/healthz': { isOpen: true, isProbe: true },
  '/readyz': { isOpen: true, isProbe: true },
  '/metrics': { isOpen: false, isProbe: true },
};

export function policyOf(path: string): PathPolicy {
  return (Object.hasOwn(EXACT, path) ? EXACT[path] : undefined) ?? GUARDED;
}
