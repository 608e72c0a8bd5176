/**
 * A data file that was found, and how to look for it. Types only.
 */

export interface FoundFile {
  readonly path: string;
  /** For people and reports: as it was given, or below the folder that was given. */
  readonly name: string;
  readonly bytes: number;
}

export interface TrainedFile extends FoundFile {
  /** How often each of its examples is trained on. */
  readonly weight: number;
}

export interface FindOptions {
  /** Where downloads are kept. */
  readonly cacheFolder: string;
  readonly signal?: AbortSignal | undefined;
  readonly onDownload?: ((bytes: number, total: number | undefined) => void) | undefined;
}
