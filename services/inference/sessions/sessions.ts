/**
 * Conversations as those who chat see them: by owner and id, one turn at a time. Owns which sessions have a turn in the making, and opens
 * the store when it is first needed. Knows nothing of HTTP or of how answers are made.
 */
import { GIVEN_SESSION_PREFIX, NEW_SESSION } from '@slipway/shared/contracts/chat.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { newId } from '@slipway/shared/lib/ids.ts';
import { type Conversation, EMPTY_CONVERSATION, parseConversation } from './conversation.ts';
import type { SessionKey, SessionStore, SessionSummary } from './session-store.ts';

/** A turn in the making: no other begins in its session until it is ended. */
export interface OpenTurn {
  readonly id: string;
  readonly conversation: Conversation;
  /** AppError conflict, sessions_unavailable or disk_full: then nothing of it is kept, as far as is known. */
  keep(conversation: Conversation): Promise<void>;
  end(): void;
}

export interface SessionContent extends SessionSummary {
  readonly conversation: Conversation;
}

export class Sessions {
  readonly #open: () => Promise<SessionStore>;
  readonly #busy = new Set<string>();
  #store: Promise<SessionStore> | undefined;

  constructor(open: () => Promise<SessionStore>) {
    this.#open = open;
  }

  /** AppError not_found for a given id that is no more, conflict while another turn is in the making, sessions_unavailable. */
  async beginTurn(owner: string, wanted: string): Promise<OpenTurn> {
    const id = wanted === NEW_SESSION ? newId(GIVEN_SESSION_PREFIX.slice(0, -1)) : wanted;
    const key = { owner, id };
    const name = JSON.stringify([owner, id]);
    if (this.#busy.has(name)) {
      throw new AppError(
        'conflict',
        `session ${JSON.stringify(id)} has a turn that is not answered yet; send this one after it`,
      );
    }
    this.#busy.add(name);
    try {
      const store = await this.#opened();
      const session = await store.read(key);
      if (session === undefined && wanted.startsWith(GIVEN_SESSION_PREFIX)) throw noSession(id);
      const basis = session?.revision ?? null;
      return {
        id,
        conversation: session === undefined ? EMPTY_CONVERSATION : parseConversation(session.document),
        keep: (conversation) =>
          store.write(key, { basis, revision: newId('rev'), document: JSON.stringify(conversation) }),
        end: () => void this.#busy.delete(name),
      };
    } catch (error) {
      this.#busy.delete(name);
      throw error;
    }
  }

  /** AppError not_found, sessions_unavailable. */
  async read(key: SessionKey): Promise<SessionContent> {
    const session = await (await this.#opened()).read(key);
    if (session === undefined) throw noSession(key.id);
    const { document, revision: _revision, ...summary } = session;
    return { ...summary, conversation: parseConversation(document) };
  }

  async list(owner: string, limit: number): Promise<readonly SessionSummary[]> {
    return (await this.#opened()).list(owner, limit);
  }

  /** A turn in the making is then not kept. AppError not_found, sessions_unavailable. */
  async remove(key: SessionKey): Promise<void> {
    if (!(await (await this.#opened()).remove(key))) throw noSession(key.id);
  }

  async close(): Promise<void> {
    const store = this.#store;
    this.#store = undefined;
    // What could not be opened need not be closed.
    await (await store?.catch(() => undefined))?.close();
  }

  /** One that could not be opened is tried anew by whoever asks next. */
  #opened(): Promise<SessionStore> {
    this.#store ??= this.#open().catch((error: unknown) => {
      this.#store = undefined;
      throw error;
    });
    return this.#store;
  }
}

function noSession(id: string): AppError {
  return new AppError('not_found', `there is no session ${JSON.stringify(id)} here, or not any more`);
}
