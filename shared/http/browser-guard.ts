/**
 * Keeps pages of other sites from using the service through the browser of somebody who can reach it. A browser hides an answer from
 * such a page, but sends what it asks for, and opens its WebSockets. Knows nothing of keys or routes.
 */
import type { MiddlewareHandler } from 'hono';
import { AppError } from '../contracts/errors.ts';

const READING = new Set(['GET', 'HEAD', 'OPTIONS']);

/** `origins`: whose pages may, besides our own; `*` is all. AppError forbidden. */
export function refuseForeignPages(origins: readonly string[]): MiddlewareHandler {
  const isAllowed = (origin: string) => origins.includes('*') || origins.includes(origin);
  return async (context, next) => {
    const header = (name: string) => context.req.header(name);
    const origin = header('origin');
    const isReading = READING.has(context.req.method) && header('upgrade') === undefined;
    if (origin !== undefined && !isReading && !isAllowed(origin) && !isOwnPage(origin, header)) {
      throw new AppError(
        'forbidden',
        `pages of ${JSON.stringify(origin.slice(0, 100))} may not use this service; CORS_ORIGINS names those that may`,
      );
    }
    await next();
  };
}

/** What the browser says of it is right behind every proxy, but it does not say it of plain HTTP elsewhere than on this machine. */
function isOwnPage(origin: string, header: (name: string) => string | undefined): boolean {
  const site = header('sec-fetch-site');
  if (site !== undefined) return site === 'same-origin';
  return URL.canParse(origin) && new URL(origin).host === header('host')?.toLowerCase();
}

/**
 * For a service that only this machine reaches and that asks for no key: a page can let its own name point at this machine, and then
 * is no stranger any more. Only the machine's own names are answered. AppError forbidden.
 */
export function refuseForeignNames(isExposed: () => boolean): MiddlewareHandler {
  return async (context, next) => {
    const host = context.req.header('host') ?? '';
    if (isExposed() && !isOwnName(host)) {
      throw new AppError(
        'forbidden',
        `this service answers to localhost only, not to ${JSON.stringify(host.slice(0, 100))}; with an API key, TRUST_PROXY or another HOST it answers to every name`,
      );
    }
    await next();
  };
}

function isOwnName(host: string): boolean {
  const name = host.replace(/:\d+$/, '').toLowerCase();
  return name === '' || name === 'localhost' || name.endsWith('.localhost') || /^[\d.]+$|^\[[\da-f:.]+\]$/.test(name);
}
