/**
 * The keys of a service: the one of its environment, and those of a file that is followed while the service runs.
 */
import { isLoopback } from '../lib/is-loopback.ts';
import type { Logger } from '../lib/log.ts';
import { KeyRing } from './key-ring.ts';

interface KeySettings {
  readonly apiKey: string | null;
  readonly apiKeysFile: string | null;
  /** Where the service listens. */
  readonly host: string;
}

/** `unfollow` ends it. A service that others can reach without a key says so in its log. AppError not_found or invalid_field for a file of keys that cannot be used. */
export async function openKeyRing(
  { apiKey, apiKeysFile, host }: KeySettings,
  log: Logger,
): Promise<{ readonly keys: KeyRing; readonly unfollow: () => void }> {
  const keys = new KeyRing(apiKey);
  if (apiKeysFile === null) {
    if (apiKey === null && !isLoopback(host)) {
      log.warn(
        { host },
        'no API key is asked for: whoever reaches this port may use the service; set API_KEYS_FILE, or HOST=127.0.0.1',
      );
    }
    return { keys, unfollow: () => {} };
  }
  // Most services have no file, and starts are timed in milliseconds.
  const { followKeysFile } = await import('./keys-file.ts');
  return { keys, unfollow: await followKeysFile(apiKeysFile, log, (entries) => keys.replaceFile(entries)) };
}
