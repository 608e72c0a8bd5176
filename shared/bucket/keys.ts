/**
 * Where things are inside a bucket and what may be a key: pure functions from names to relative paths. Knows no storage.
 */
import { AppError } from '../contracts/errors.ts';
import { AliasName, ModelName, VersionName } from '../contracts/manifest.ts';

/** Blobs are spread over 256 folders, as large stores list slowly. */
export function blobKey(sha256: string): string {
  return `blobs/sha256/${sha256.slice(0, 2)}/${sha256}`;
}

export function manifestKey(name: string, version: string): string {
  return `manifests/${name}/${version}.json`;
}

/** How long a removed version can be restored when nobody says otherwise. */
export const GRACE_MS = 7 * 24 * 3_600_000;

/** The sha256 of every blob that manifests and file sets name. */
export function blobsOf(owners: readonly { readonly files: readonly { readonly sha256: string }[] }[]): Set<string> {
  return new Set(owners.flatMap(({ files }) => files.map(({ sha256 }) => sha256)));
}

export function labelOf({ name, version }: { readonly name: string; readonly version: string }): string {
  return `${name}@${version}`;
}

export const MANIFESTS = 'manifests/';

/** Unlike all other records these can be removed, and made again with other content. */
export const FILE_SETS = 'sets/';

export function fileSetKey(name: string): string {
  return `${FILE_SETS}${name}.json`;
}

/** Throws AppError invalid_field unless it is a path such as runs/RUN/checkpoints/step-00000100. */
export function checkFileSetName(name: string): string {
  const segments = name.split('/');
  if (name.length <= 200 && segments.every((segment) => /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/i.test(segment)))
    return name;
  throw new AppError(
    'invalid_field',
    `"${printable(name)}" is no name of a file set: write words of letters, digits, dots, dashes and underscores, with slashes between.`,
  );
}

/** The entries of a model's journal; their names are numbers that sort as text. */
export function journalFolder(name: string): string {
  return `journals/${name}/`;
}

export function journalKey(name: string, number: number): string {
  return `${journalFolder(name)}${String(number).padStart(8, '0')}.json`;
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

export type Reference =
  | { readonly kind: 'default'; readonly name: string }
  | { readonly kind: 'version'; readonly name: string; readonly version: string }
  | { readonly kind: 'alias'; readonly name: string; readonly alias: string };

/** NAME, NAME@ALIAS or NAME@v001. */
export function parseReference(reference: string): Reference {
  const [text = '', target, ...rest] = reference.split('@');
  if (rest.length === 0 && target === undefined) return { kind: 'default', name: checkModelName(text) };
  if (rest.length === 0 && VersionName.safeParse(target).success) {
    return { kind: 'version', name: checkModelName(text), version: target ?? '' };
  }
  if (rest.length === 0 && AliasName.safeParse(target).success) {
    return { kind: 'alias', name: checkModelName(text), alias: target ?? '' };
  }
  throw new AppError(
    'invalid_field',
    `"${printable(reference)}" names no model. Write NAME, NAME@ALIAS (latest, champion ...) or NAME@v001.`,
  );
}

/** Aliases that follow from others and cannot be set. */
const COMPUTED_ALIASES = ['latest', 'previous'] as const;

/** Throws AppError invalid_field unless it is an alias that can be stored. */
export function checkStoredAlias(alias: string): string {
  const parsed = AliasName.safeParse(alias);
  if (!parsed.success) {
    throw new AppError('invalid_field', `"${printable(alias)}" is no alias: ${parsed.error.issues[0]?.message}.`);
  }
  if (COMPUTED_ALIASES.some((computed) => computed === alias)) {
    throw new AppError('invalid_field', `${alias} is computed and cannot be set. Set champion, or a name of your own.`);
  }
  return parsed.data;
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
