/**
 * A bucket's small documents on S3. That one of two who create a key succeeds is the server's doing (If-None-Match), so that a server
 * that does not know that header is told apart before anything is entrusted to it.
 */
import { AppError } from '../../contracts/errors.ts';
import { FILE_SETS } from '../keys.ts';
import type { Records } from '../records.ts';
import type { ObjectStore } from './object-store.ts';

const PROBE = 'conditional-writes';
const PROBE_TEXT = 'Whether this server honours If-None-Match is found out with this object.\n';
const REMEMBERED = 4096;

export function s3Records(store: ObjectStore): Records {
  /** Records never change: what has been read once is known. Those of file sets may be gone. */
  const known = new Map<string, string>();
  let checked: Promise<void> | undefined;

  function remember(key: string, text: string): void {
    if (key.startsWith(FILE_SETS)) return;
    if (known.size >= REMEMBERED) known.clear();
    known.set(key, text);
  }

  async function read(key: string): Promise<string | undefined> {
    const text = known.get(key) ?? (await store.text(key));
    if (text !== undefined) remember(key, text);
    return text;
  }

  return {
    where: store.where,
    list: store.names,
    read,
    async create(key, text) {
      checked ??= requireConditionalWrites(store).catch((error: unknown) => {
        checked = undefined;
        throw error;
      });
      await checked;
      // When the answer to a first attempt got lost, a second one finds its own work.
      if (!(await store.putIfAbsent(key, text)) && (await read(key)) !== text) return false;
      remember(key, text);
      return true;
    },
    remove: (key) => store.remove([key]),
  };
}

async function requireConditionalWrites(store: ObjectStore): Promise<void> {
  if (!(await store.putIfAbsent(PROBE, PROBE_TEXT))) return;
  // It was not there; now it is.
  if (!(await store.putIfAbsent(PROBE, PROBE_TEXT))) return;
  throw new AppError(
    'unsupported_source',
    `${store.location} ignores conditional writes (If-None-Match), so that two publishers could take one version. Use a server that knows them.`,
  );
}
