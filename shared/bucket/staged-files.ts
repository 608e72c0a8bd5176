/**
 * What a publisher has put into its staging folder, made fit to be published: read-only, on the disk, hashed, and all that its
 * manifest names. Knows not where it goes.
 */
import { chmod, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../contracts/errors.ts';
import type { Manifest } from '../contracts/manifest.ts';
import type { DraftManifest } from './bucket.ts';
import { listFiles, sha256Of, syncToDisk } from './durable-files.ts';
import { isSafePath } from './keys.ts';

/** `hashes`: path -> sha256 of what was hashed while it was written. AppError invalid_source for what a version cannot hold. */
export async function describeStaged(
  folder: string,
  name: string,
  draft: DraftManifest,
  hashes: ReadonlyMap<string, string>,
): Promise<Manifest['files']> {
  if (draft.name !== name) throw new Error(`staged for ${name}, but the manifest says ${draft.name}`);
  const files = await describeFiles(folder, hashes);
  requireFiles(draft, new Set(files.map((file) => file.path)));
  return files;
}

/** The same of files that are no version's. */
export async function describeFiles(folder: string, hashes: ReadonlyMap<string, string>): Promise<Manifest['files']> {
  const files: Manifest['files'] = [];
  for (const path of await listFiles(folder)) {
    if (!isSafePath(path)) throw new AppError('invalid_source', `A bucket cannot hold a file named ${path}.`);
    const file = join(folder, path);
    await chmod(file, 0o444);
    await syncToDisk(file);
    files.push({ path, bytes: (await stat(file)).size, sha256: hashes.get(path) ?? (await sha256Of(file)) });
  }
  return files;
}

/** A manifest that names a file nobody wrote is a bug of the publisher. */
function requireFiles(draft: DraftManifest, present: ReadonlySet<string>): void {
  const { serving, standard } = draft.graphs;
  const named = [serving.path, standard.path, draft.weights, draft.text.tokenizer, draft.text.chat_template];
  const missing = named.find((path) => path !== null && !present.has(path));
  if (missing !== undefined) throw new Error(`the manifest names ${missing}, which is not among the staged files`);
}
