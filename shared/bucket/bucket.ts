/**
 * The bucket's contract: immutable versions of models, whole or not there at all, the names that move between them, and sets of other
 * files. Knows nothing of what is in a file.
 */
import type { Readable } from 'node:stream';
import type { Manifest } from '../contracts/manifest.ts';

/** What a publisher says of a version; the bucket adds name, version, created_at and the files it verified. */
export type DraftManifest = Omit<Manifest, 'version' | 'created_at' | 'files'>;

export interface Bucket {
  /** For people: a path or URL without secrets. */
  readonly location: string;
  /**
   * A private folder on local disk to build a version in. What an earlier, dead process left behind is cleaned first.
   * `publish` verifies and moves its files; `discard` removes it. Two stagings of one name may run at once.
   */
  stage(name: string): Promise<Staging>;
  /** Names that have at least one version, sorted. */
  models(): Promise<string[]>;
  /** Oldest first: v001, v002 ... Without those removed. A number is never given twice. */
  versions(name: string): Promise<string[]>;
  /**
   * `reference`: NAME@v001, NAME@ALIAS, or NAME, which is what `champion` points at, and the newest while there is none.
   * AppError not_found names what there is.
   */
  resolve(reference: string): Promise<Manifest>;
  /**
   * A local, read-only folder that holds the version's files at their paths, sha256-verified when it is made. It stays while this
   * process lives, or until `release`.
   */
  materialize(manifest: Manifest): Promise<string>;
  /** This process no longer needs the version's folder: it may go when room is needed. Nothing happens if it never had it. */
  release(manifest: Manifest): Promise<void>;
  /**
   * One file of a version, bytes `start` (included, default 0) to `end` (excluded, default: the file's length). Read to its end as a
   * whole it is sha256-verified: the stream fails when it is not what was published. AppError not_found, invalid_field.
   */
  read(manifest: Manifest, path: string, range?: ByteRange): Promise<Readable>;

  /**
   * Alias -> version, sorted. Two are computed: `latest` is the newest version, `previous` what `rollback` would make the champion.
   * All others are stored.
   */
  aliases(name: string): Promise<ReadonlyMap<string, string>>;
  /**
   * Moves an alias; null: it points nowhere. With `expected` only when that is where it points now: AppError conflict says where it
   * does. That it already points where it should is success. AppError not_found when there is no such version.
   */
  setAlias(name: string, alias: string, version: string | null, options?: MoveOptions): Promise<void>;
  /**
   * Moves an alias back to where it pointed before its last move, over versions that are no longer there, and forgets that move: twice
   * goes back two. Gives the version it points at now. AppError not_found when it never pointed elsewhere, conflict as for setAlias.
   */
  rollback(name: string, alias?: string, options?: MoveOptions): Promise<string | null>;
  /** What has been done to a model's aliases and versions since it exists, oldest first; the last hundred. */
  changes(name: string): Promise<Change[]>;

  /** AppError conflict when a stored alias points at it or when it is the only one; not_found. Its number stays taken. */
  remove(name: string, version: string): Promise<void>;
  /** What can still be restored: version -> when it was removed. */
  removed(name: string): Promise<ReadonlyMap<string, Date>>;
  /** Takes a removal back, as long as `collect` has not made it final. AppError not_found. */
  restore(name: string, version: string): Promise<void>;
  /**
   * Keeps the files of a folder under a name such as `runs/RUN/checkpoints/step-00000100`: immutable, whole or not there, what is the
   * same stored once. The files become read-only, and must not change any more: the bucket may share them. Putting the same again is
   * putting it once. AppError conflict when the name has other files, invalid_field for what is no name.
   */
  putFiles(name: string, folder: string, hashes?: ReadonlyMap<string, string>): Promise<FileSet>;
  /** Sorted names of all sets below `prefix`, which is empty or ends with a slash. */
  fileSets(prefix: string): Promise<string[]>;
  /**
   * Makes `folder` of a set's files, sha256-verified, whole or not there; what is cut off is gone on with by the next call. The files are
   * the caller's own. AppError not_found, or conflict when the folder is there already.
   */
  fetchFiles(name: string, folder: string): Promise<FileSet>;
  /** Everything that can be resolved, restored or fetched. Rejects when a record of it is damaged: what that names is then not known. */
  contents(): Promise<BucketContents>;
  /** Its name is free; `collect` frees its files. Nothing happens when it is not there. */
  removeFiles(name: string): Promise<void>;

  /**
   * Frees what nothing can reach: versions removed longer ago than the grace period that nobody uses, and blobs of no version and no
   * file set. Safe beside everything else that happens to the bucket.
   */
  collect(options?: CollectOptions): Promise<Collected>;
}

export interface Staging {
  readonly folder: string;
  /**
   * `hashes` of files already hashed while written (path -> sha256); others are hashed here. Gives the next free version, or the
   * newest one when that says and holds exactly the same: publishing twice is publishing once. What is there is not uploaded again.
   */
  publish(manifest: DraftManifest, hashes?: ReadonlyMap<string, string>): Promise<Manifest>;
  discard(): Promise<void>;
}

/** Files that belong together and are no version. */
export interface FileSet {
  readonly name: string;
  readonly created_at: string;
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[];
}

export interface BucketContents {
  readonly manifests: readonly Manifest[];
  readonly fileSets: readonly FileSet[];
}

export interface ByteRange {
  readonly start?: number;
  readonly end?: number;
}

export interface MoveOptions {
  /** null: it points nowhere. */
  readonly expected?: string | null;
}

export type Change =
  | { readonly kind: 'set'; readonly at: Date; readonly alias: string; readonly version: string | null }
  | { readonly kind: 'rollback'; readonly at: Date; readonly alias: string; readonly version: string | null }
  | { readonly kind: 'remove' | 'restore'; readonly at: Date; readonly version: string }
  | { readonly kind: 'collect'; readonly at: Date; readonly versions: readonly string[] };

export interface CollectOptions {
  /** Says what would be freed and changes nothing. */
  readonly dryRun?: boolean;
  /** How long a removed version can be restored; default: seven days. */
  readonly graceMs?: number;
  /** File sets that are removed first; with `dryRun` they count as removed. */
  readonly fileSets?: readonly string[];
}

export interface Collected {
  /** NAME@v001 of removed versions that are now gone for good. */
  readonly versions: readonly string[];
  readonly blobs: number;
  readonly bytes: number;
}
