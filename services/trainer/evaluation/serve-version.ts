/**
 * How whoever evaluates gets a version to ask: it is handed in, since the trainer does not know how versions are served. Types only.
 */
import type { ServiceClient } from '@slipway/shared/lines/service-client.ts';

export interface VersionToServe {
  /** NAME@v001 */
  readonly name: string;
  /** Null: where the service looks by itself. */
  readonly bucketUrl: string | null;
  readonly maxNewTokens: number;
  readonly atOnce: number;
}

/** Gives `use` a client of a service that has the version; the service ends with it. */
export type ServeVersion = <T>(
  version: VersionToServe,
  signal: AbortSignal,
  use: (client: ServiceClient) => Promise<T>,
) => Promise<T>;
