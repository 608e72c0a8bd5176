/**
 * Edits the file of API keys: one editor at a time, each edit whole or not at all, nobody but its owner may read it. What people wrote
 * into it (comments, order) stays. Knows nothing of how keys are made.
 */
import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { isDead, newOwnedName } from '@slipway/shared/bucket/owner.ts';
import { type ApiKeyEntry, parseKeysFile } from '@slipway/shared/contracts/api-keys.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { type Document, isMap, isSeq, parseDocument, type YAMLSeq } from 'yaml';

const OWNER_ONLY = 0o600;
const NEW_FILE = `# Who may call the service, by the sha256 of their keys. \`slipway keys\` edits this file; a service reads it again when it changes.
keys: []
`;

/** AppError not_found or invalid_field. */
export async function readEntries(file: string): Promise<readonly ApiKeyEntry[]> {
  const text = await read(file);
  if (text !== undefined) return parseKeysFile(text, file);
  throw new AppError(
    'not_found',
    `there is no ${file}; \`slipway keys create NAME\` makes one, or give another --file`,
  );
}

/** Makes the file when there is none. AppError already_exists when the name is taken. */
export function addEntry(file: string, entry: ApiKeyEntry): Promise<void> {
  return edit(file, async () => {
    const text = (await read(file)) ?? (file.endsWith('.json') ? '{"keys": []}' : NEW_FILE);
    const entries = await parseKeysFile(text, file);
    if (entries.some(({ name }) => name === entry.name)) {
      throw new AppError(
        'already_exists',
        `${file} has a key ${entry.name} already; choose another name, or revoke it first: slipway keys revoke ${entry.name}`,
      );
    }
    return changed(file, text, (keys, document) => {
      // The empty list of a new file is written in brackets; entries are not.
      keys.flow = false;
      keys.add(document.createNode(entry));
    });
  });
}

/** AppError not_found when there is no such name. */
export function removeEntry(file: string, name: string): Promise<void> {
  return edit(file, async () => {
    const entries = await readEntries(file);
    if (!entries.some((entry) => entry.name === name)) {
      const there = entries.length === 0 ? 'none' : entries.map((entry) => entry.name).join(', ');
      throw new AppError('not_found', `${file} has no key ${JSON.stringify(name)}; there is ${there}`);
    }
    return changed(file, await readFile(file, 'utf8'), (keys) => {
      keys.items = keys.items.filter((item) => !(isMap(item) && item.get('name') === name));
    });
  });
}

function changed(file: string, text: string, change: (keys: YAMLSeq, document: Document) => void): string {
  const document = parseDocument(text);
  const keys = document.get('keys');
  if (!isSeq(keys)) throw new Error('a file that was parsed has a list of keys');
  change(keys, document);
  return file.endsWith('.json') ? `${JSON.stringify(document.toJS(), undefined, 2)}\n` : document.toString();
}

async function read(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw unreachable(file, error);
  }
}

/** Writes beside the file and renames, so that a reader or a crash never sees half of it. */
async function edit(file: string, work: () => Promise<string>): Promise<void> {
  const lock = `${file}.lock`;
  await take(lock, file);
  const passing = `${file}.${process.pid}.new`;
  try {
    const text = await work();
    const handle = await open(passing, 'wx', OWNER_ONLY);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(passing, file);
  } finally {
    await rm(passing, { force: true });
    await rm(lock, { force: true });
  }
}

async function take(lock: string, file: string): Promise<void> {
  for (;;) {
    try {
      await writeFile(lock, newOwnedName(), { flag: 'wx', mode: OWNER_ONLY });
      return;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw unreachable(file, error);
    }
    const [owner, found] = await Promise.all([readFile(lock, 'utf8'), stat(lock)]).catch(
      () => ['', undefined] as const,
    );
    if (found === undefined) continue;
    if (!isDead(owner, found.mtimeMs, Date.now())) {
      throw new AppError('conflict', `another process is editing ${file}; run it again when that is done`);
    }
    await rm(lock, { force: true });
  }
}

function unreachable(file: string, error: unknown): AppError {
  return new AppError('invalid_field', `${file} cannot be opened (${codeOf(error)}); give another --file`, {
    cause: error,
  });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
