/**
 * The keys that open the service, and whom each stands for. Keys are random, so that one sha256 hides them: bcrypt slows down guessing
 * of what people think up, and would slow down every request. Knows nothing of HTTP or of files.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type ApiKeyEntry, ENVIRONMENT_CALLER } from '../contracts/api-keys.ts';
import { AppError } from '../contracts/errors.ts';
import type { Principal } from './principal.ts';

interface HeldKey {
  readonly digest: Buffer;
  readonly principal: Principal;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

export class KeyRing {
  readonly #ofEnvironment: readonly HeldKey[];
  #ofFile: readonly HeldKey[] | undefined;

  /** `apiKey`: one key with all scopes. */
  constructor(apiKey: string | null) {
    const principal: Principal = { name: ENVIRONMENT_CALLER, scopes: ['admin'] };
    this.#ofEnvironment =
      apiKey === null ? [] : [{ digest: digestOf(apiKey), principal, expiresAt: Number.POSITIVE_INFINITY }];
  }

  /** False when nobody needs a key. A file without keys lets nobody in. */
  get isLocked(): boolean {
    return this.#ofEnvironment.length > 0 || this.#ofFile !== undefined;
  }

  /** What a file of keys holds, instead of what it held before. */
  replaceFile(entries: readonly ApiKeyEntry[]): void {
    this.#ofFile = entries.map((entry) => ({
      digest: Buffer.from(entry.sha256, 'hex'),
      principal: {
        name: entry.name,
        scopes: entry.scopes,
        requestsPerMinute: entry.requests_per_minute,
        tokensPerMinute: entry.tokens_per_minute,
      },
      expiresAt: entry.expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(entry.expires),
    }));
  }

  /** AppError unauthorized. Takes as long for a wrong key as for any right one. */
  identify(given: string): Principal {
    const digest = digestOf(given);
    let found: HeldKey | undefined;
    for (const held of [...this.#ofEnvironment, ...(this.#ofFile ?? [])]) {
      if (timingSafeEqual(held.digest, digest)) found = held;
    }
    if (found === undefined) throw new AppError('unauthorized', 'this API key is not known here; it may be revoked');
    if (found.expiresAt <= Date.now()) {
      throw new AppError('unauthorized', `this API key expired at ${new Date(found.expiresAt).toISOString()}`);
    }
    return found.principal;
  }
}

function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
