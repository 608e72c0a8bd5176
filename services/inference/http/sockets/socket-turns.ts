/**
 * Answers that are made over WebSockets: what has been said of each, so that a client whose connection broke gets the rest over another and
 * nothing twice; and for how long one goes on that nobody listens to. Knows no WebSocket, and nothing of how answers are made.
 */
import type { ChatDelta } from '@slipway/shared/contracts/chat.ts';
import type { ChatSocketEvent, ChatTurnEnd } from '@slipway/shared/contracts/chat-socket.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { newId } from '@slipway/shared/lib/ids.ts';

/** One connection's end of it. All events but `accepted` and `delta` are a turn's last for this listener. */
export interface TurnListener {
  hear(turn: SocketTurn, event: ChatSocketEvent): void;
}

export class SocketTurn {
  readonly id: string;
  readonly owner: string;
  readonly #abort = new AbortController();
  /** Of all deltas. */
  #text = '';
  /** Where in the text each delta ends. */
  readonly #ends: number[] = [];
  #about: Omit<ChatDelta, 'response'> | undefined;
  #end: ChatTurnEnd | undefined;
  #listener: TurnListener | undefined;

  constructor(owner: string, id: string, listener: TurnListener) {
    this.owner = owner;
    this.id = id;
    this.#listener = listener;
  }

  /** Aborts when nobody wants its answer any more. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get end(): ChatTurnEnd | undefined {
    return this.#end;
  }

  get listener(): TurnListener | undefined {
    return this.#listener;
  }

  get characters(): number {
    return this.#text.length;
  }

  say({ response, ...about }: ChatDelta): void {
    this.#about = about;
    this.#text += response;
    this.#ends.push(this.#text.length);
    this.#listener?.hear(this, { type: 'delta', turn: this.id, number: this.#ends.length, ...about, response });
  }

  finish(end: ChatTurnEnd): void {
    this.#end = end;
    this.#listener?.hear(this, { turn: this.id, number: this.#ends.length + 1, ...end });
  }

  cancel(): void {
    this.#abort.abort();
  }

  /** Tells `listener` what came after event `after`, and whatever comes. AppError invalid_field when there is no such event yet. */
  listen(listener: TurnListener, after: number): void {
    const said = this.#ends.length;
    const last = said + (this.#end === undefined ? 0 : 1);
    if (after > last)
      throw new AppError('invalid_field', `after must be at most ${last}, the turn's last event so far`);
    this.#listener = listener;
    listener.hear(this, { type: 'accepted', turn: this.id });
    if (after < said && this.#about !== undefined) {
      const response = this.#text.slice(this.#ends[after - 1] ?? 0);
      listener.hear(this, { type: 'delta', turn: this.id, number: said, ...this.#about, response });
    }
    if (after <= said && this.#end !== undefined) listener.hear(this, { turn: this.id, number: last, ...this.#end });
  }

  /** False when it is another who listens. */
  unlisten(listener: TurnListener): boolean {
    if (this.#listener !== listener) return false;
    this.#listener = undefined;
    return true;
  }
}

/** Of all that have ended together; beyond it the oldest are forgotten. */
const MOST_CHARACTERS = 8 * 2 ** 20;
/** What one takes that said nothing. */
const LEAST_CHARACTERS = 1000;

export class SocketTurns {
  readonly #resumeMilliseconds: number;
  /** The oldest first. */
  readonly #turns = new Map<string, SocketTurn>();
  readonly #timers = new Map<SocketTurn, NodeJS.Timeout>();
  #endedCharacters = 0;

  /** `resumeSeconds`: how long one goes on without a listener, and how long it can be heard again after its end. */
  constructor(resumeSeconds: number) {
    this.#resumeMilliseconds = resumeSeconds * 1000;
  }

  /** What failed or was cancelled may be begun again under its id. AppError conflict for what did not. */
  begin(owner: string, id: string | undefined, listener: TurnListener): SocketTurn {
    const turn = new SocketTurn(owner, id ?? newId('turn'), listener);
    const known = this.#turns.get(nameOf(turn));
    if (known !== undefined && (known.end === undefined || known.end.type === 'done')) {
      throw new AppError('conflict', `turn ${turn.id} has been sent already; resume it, or choose another id`);
    }
    if (known !== undefined) this.#forget(known);
    this.#turns.set(nameOf(turn), turn);
    return turn;
  }

  /** AppError not_found, for what another caller began too. */
  find(owner: string, id: string): SocketTurn {
    const turn = this.#turns.get(nameOf({ owner, id }));
    if (turn === undefined) throw new AppError('not_found', `there is no turn ${id} here, or not any more`);
    return turn;
  }

  /** Goes on with a turn for a listener, and gives the other one that now hears nothing more of it. AppError invalid_field. */
  resume(turn: SocketTurn, listener: TurnListener, after: number): TurnListener | undefined {
    const { listener: before } = turn;
    turn.listen(listener, after);
    if (turn.end === undefined) this.#wait(turn, undefined);
    return before === listener || turn.end !== undefined ? undefined : before;
  }

  /** Its listener has gone; another may come. */
  leave(turn: SocketTurn, listener: TurnListener): void {
    if (turn.unlisten(listener) && turn.end === undefined) this.#wait(turn, () => turn.cancel());
  }

  end(turn: SocketTurn, end: ChatTurnEnd): void {
    turn.finish(end);
    this.#endedCharacters += weightOf(turn);
    this.#wait(turn, () => this.#forget(turn));
    for (const other of this.#turns.values()) {
      if (this.#endedCharacters <= MOST_CHARACTERS) break;
      if (other.end !== undefined) this.#forget(other);
    }
  }

  #forget(turn: SocketTurn): void {
    this.#wait(turn, undefined);
    this.#turns.delete(nameOf(turn));
    this.#endedCharacters -= weightOf(turn);
  }

  /** For the time in which it may be resumed; instead of what was waited for. */
  #wait(turn: SocketTurn, then: (() => void) | undefined): void {
    clearTimeout(this.#timers.get(turn));
    this.#timers.delete(turn);
    if (then === undefined) return;
    const timer = setTimeout(() => {
      this.#timers.delete(turn);
      then();
    }, this.#resumeMilliseconds);
    this.#timers.set(turn, timer.unref());
  }
}

function nameOf({ owner, id }: Pick<SocketTurn, 'owner' | 'id'>): string {
  return JSON.stringify([owner, id]);
}

function weightOf(turn: SocketTurn): number {
  return LEAST_CHARACTERS + turn.characters;
}
