/**
 * The bucket's contract: immutable versions of models, whole or not there at all. Knows nothing of what is in a file.
 */
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
  models(): Promise<string[]>;
  /** Oldest first: v001, v002 ... */
  versions(name: string): Promise<string[]>;
  /** `reference`: NAME, NAME@latest or NAME@v001. AppError not_found names what there is. */
  resolve(reference: string): Promise<Manifest>;
  /** A local, read-only folder that holds the version's files at their paths, sha256-verified when it is made. */
  materialize(manifest: Manifest): Promise<string>;
}

export interface Staging {
  readonly folder: string;
  /** `hashes` of files already hashed while written (path -> sha256); others are hashed here. Gives the next free version. */
  publish(manifest: DraftManifest, hashes?: ReadonlyMap<string, string>): Promise<Manifest>;
  discard(): Promise<void>;
}
