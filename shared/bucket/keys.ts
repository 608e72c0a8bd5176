/**
 * Where things are inside a bucket and what may be a key: pure functions from names to relative paths. Knows no storage.
 */
import { AppError } from '../contracts/errors.ts';
import { ModelName, VersionName } from '../contracts/manifest.ts';

/** Blobs are spread over 256 folders, as large stores list slowly. */
export function blobKey(sha256: string): string {
  return `blobs/sha256/${sha256.slice(0, 2)}/${sha256}`;
}

export function manifestKey(name: string, version: string): string {
  return `manifests/${name}/${version}.json`;
}

/** Throws AppError invalid_field: a name becomes a folder's name, so that nothing but a name may pass. */
export function checkModelName(name: string): string {
  const parsed = ModelName.safeParse(name);
  if (parsed.success) return parsed.data;
  throw new AppError(
    'invalid_field',
    `"${printable(name)}" is no model name: ${parsed.error.issues[0]?.message ?? 'invalid'}.`,
  );
}

export interface Reference {
  readonly name: string;
  /** Undefined: the latest. */
  readonly version: string | undefined;
}

/** NAME, NAME@latest or NAME@v001. */
export function parseReference(reference: string): Reference {
  const [name = '', version = 'latest', ...rest] = reference.split('@');
  if (rest.length > 0 || (version !== 'latest' && !VersionName.safeParse(version).success)) {
    throw new AppError(
      'invalid_field',
      `"${printable(reference)}" names no model. Write NAME, NAME@latest or NAME@v001.`,
    );
  }
  return { name: checkModelName(name), version: version === 'latest' ? undefined : version };
}

/** v001 ... v999, v1000: by number, never by letters. */
export function compareVersions(left: string, right: string): number {
  return Number(left.slice(1)) - Number(right.slice(1));
}

/** `versions` in any order. */
export function nextVersion(versions: readonly string[]): string {
  const newest = Math.max(0, ...versions.map((version) => Number(version.slice(1))));
  return `v${String(newest + 1).padStart(3, '0')}`;
}

/** A file's path inside a version: relative, forward slashes, no way out. Manifests from elsewhere may lie. */
export function isSafePath(path: string): boolean {
  return (
    path.length > 0 &&
    path.length <= 512 &&
    !/[\\:\0]/.test(path) &&
    path.split('/').every((segment) => segment !== '' && segment !== '.' && segment !== '..')
  );
}

function printable(text: string): string {
  const clean = text.replaceAll(/\p{C}/gu, '\u{FFFD}');
  return clean.length > 80 ? `${clean.slice(0, 80)}...` : clean;
}
