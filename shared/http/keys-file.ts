/**
 * Follows the file of API keys while the service runs: a key that is revoked there stops working within seconds. Looks at the file's
 * times instead of watching it, which also works on network filesystems and where an orchestrator swaps links. Knows no request.
 */
import { readFile, stat } from 'node:fs/promises';
import { type ApiKeyEntry, parseKeysFile } from '../contracts/api-keys.ts';
import { AppError } from '../contracts/errors.ts';
import type { Logger } from '../lib/log.ts';

const LOOK_MILLISECONDS = 1000;
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Tells `onEntries` what the file holds, now and whenever it has changed. Rejects with AppError when it cannot be used now; later what
 * it held last stays in force, and the log says why. Gives the function that ends it.
 */
export async function followKeysFile(
  path: string,
  log: Logger,
  onEntries: (entries: readonly ApiKeyEntry[]) => void,
): Promise<() => void> {
  let seen = await stateOf(path);
  onEntries(await read(path));
  if (seen.isWritableByOthers) log.warn({ file: path }, 'others may write the file of API keys: chmod 600 mends it');
  let isLooking = false;
  const look = async () => {
    const state = await stateOf(path);
    if (state.signature === seen.signature) return;
    seen = state;
    try {
      const entries = await read(path);
      onEntries(entries);
      log.info({ file: path, keys: entries.length }, 'the file of API keys has changed and was read again');
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      log.error({ file: path }, `${error.message}; the keys it held before stay in force`);
    }
  };
  const timer = setInterval(async () => {
    if (isLooking) return;
    isLooking = true;
    try {
      await look();
    } catch (error) {
      log.error({ file: path, err: error }, 'a bug');
    } finally {
      isLooking = false;
    }
  }, LOOK_MILLISECONDS);
  timer.unref();
  return () => clearInterval(timer);
}

interface FileState {
  readonly signature: string;
  readonly isWritableByOthers: boolean;
}

/** A file that is not there has a state as well. */
async function stateOf(path: string): Promise<FileState> {
  try {
    const { ino, size, mtimeMs, ctimeMs, mode } = await stat(path);
    return {
      signature: [ino, size, mtimeMs, ctimeMs].join(),
      isWritableByOthers: (mode & WRITABLE_BY_OTHERS) !== 0,
    };
  } catch {
    return { signature: 'missing', isWritableByOthers: false };
  }
}

async function read(path: string): Promise<readonly ApiKeyEntry[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    throw new AppError(
      'not_found',
      `the file of API keys ${path} cannot be read (${reason}); \`slipway keys create NAME --file ${path}\` makes one`,
      { cause: error },
    );
  }
  return parseKeysFile(text, path);
}
