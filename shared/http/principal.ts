/**
 * Who calls, and what they may do. Knows nothing of keys or of how a caller was recognised.
 */
import { ANONYMOUS_CALLER, type Scope } from '../contracts/api-keys.ts';

export interface Principal {
  /** The key's name, never the key. What a caller makes (a batch, a file, a session) belongs to this name. */
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** The key's own limits; undefined: the service's. */
  readonly requestsPerMinute?: number | undefined;
  readonly tokensPerMinute?: number | undefined;
}

/** Where the service asks nobody for a key, everybody may do all. */
export const EVERYBODY: Principal = { name: ANONYMOUS_CALLER, scopes: ['admin'] };
/** On a path that is open although the service has keys. */
export const PASSER_BY: Principal = { name: ANONYMOUS_CALLER, scopes: [] };

export function hasScope({ scopes }: Principal, scope: Scope): boolean {
  return scopes.includes(scope) || scopes.includes('admin');
}

/** Whether a caller may see and change what `owner` made. What may not be seen is best answered as if it did not exist. */
export function mayAccess(principal: Principal, owner: string): boolean {
  return principal.name === owner || hasScope(principal, 'admin');
}

/** Whose things a list shows. Undefined: everybody's. */
export function ownersSeenBy(principal: Principal): string | undefined {
  return hasScope(principal, 'admin') ? undefined : principal.name;
}
