/**
 * The keys of a service: the one of its environment, and those of a file that is followed while the service runs.
 */
import type { Logger } from '../lib/log.ts';
import { KeyRing } from './key-ring.ts';

interface KeySettings {
  readonly apiKey: string | null;
  readonly apiKeysFile: string | null;
}

/** `unfollow` ends it. AppError not_found or invalid_field for a file of keys that cannot be used. */
export async function openKeyRing(
  { apiKey, apiKeysFile }: KeySettings,
  log: Logger,
): Promise<{ readonly keys: KeyRing; readonly unfollow: () => void }> {
  const keys = new KeyRing(apiKey);
  if (apiKeysFile === null) return { keys, unfollow: () => {} };
  // Most services have no file, and starts are timed in milliseconds.
  const { followKeysFile } = await import('./keys-file.ts');
  return { keys, unfollow: await followKeysFile(apiKeysFile, log, (entries) => keys.replaceFile(entries)) };
}
