/**
 * What keeps conversations: one document per session, written whole or not at all. Knows nothing of messages; what a document says is its
 * writer's affair.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';

export interface SessionKey {
  /** The name of the key that made it. Two owners may use one id. */
  readonly owner: string;
  readonly id: string;
}

export interface SessionSummary {
  readonly id: string;
  /** Milliseconds since the epoch, for people; nothing is decided by them. */
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly expiresInSeconds: number;
}

export interface StoredSession extends SessionSummary {
  /** Changes with every write. */
  readonly revision: string;
  readonly document: string;
}

export interface SessionWrite {
  /** The revision it goes on from; null: there must be no such session. */
  readonly basis: string | null;
  /** Drawn by the writer, so that a write whose acknowledgement was lost can be repeated. */
  readonly revision: string;
  readonly document: string;
}

export interface SessionBounds {
  /** A session lives so long after its last write, by the store's own clock. */
  readonly ttlSeconds: number;
  /** Of one owner. The one that was not written to for longest makes room for a new one. */
  readonly maxSessions: number;
}

/** Every method: AppError sessions_unavailable when the store does not answer; nothing is then known to be done. */
export interface SessionStore {
  /** Undefined when there is none, or none any more. */
  read(key: SessionKey): Promise<StoredSession | undefined>;
  /** When it resolves, the document is kept. AppError conflict when the session is not at `basis`, disk_full. */
  write(key: SessionKey, write: SessionWrite): Promise<void>;
  /** Last written first. */
  list(owner: string, limit: number): Promise<readonly SessionSummary[]>;
  /** False when there was none. */
  remove(key: SessionKey): Promise<boolean>;
  close(): Promise<void>;
}

export function conflict(id: string): AppError {
  return new AppError(
    'conflict',
    `session ${JSON.stringify(id)} was changed or removed while this turn was answered, which was not kept; read it and send the turn again`,
  );
}
