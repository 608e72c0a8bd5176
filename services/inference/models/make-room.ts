/**
 * Whether a model may be loaded beside those that run, and which of them have to go first. Pure; bytes in, a decision out.
 */

export interface RunningModel {
  readonly key: string;
  /** What its engine holds now: what ending it gives back. */
  readonly heldBytes: number;
  /** What it has held at most: what it may come to hold again. */
  readonly mostBytes: number;
  readonly lastUsedAt: number;
  /** Not in use, and not the main model. */
  readonly mayGo: boolean;
}

export interface RoomQuestion {
  readonly neededBytes: number;
  /** Of the container or machine; null where nothing can be known. */
  readonly availableBytes: number | null;
  /** Of what is being loaded and does not run yet. */
  readonly reservedBytes: number;
  /** For all engines together; null: none. */
  readonly limitBytes: number | null;
  readonly running: readonly RunningModel[];
}

export type RoomAnswer =
  | { readonly kind: 'fits' }
  /** The least recently used first. Then ask again. */
  | { readonly kind: 'unload'; readonly keys: readonly string[] }
  /** `why`: in words, with numbers. */
  | { readonly kind: 'refuse'; readonly why: string };

export function makeRoom(question: RoomQuestion): RoomAnswer {
  const goners: RunningModel[] = [];
  const candidates = question.running.filter(({ mayGo }) => mayGo).sort((a, b) => a.lastUsedAt - b.lastUsedAt);
  while (whyNot(question, goners) !== undefined) {
    const next = candidates.shift();
    // Nothing is unloaded in vain.
    if (next === undefined) return { kind: 'refuse', why: refusal(question, goners) };
    goners.push(next);
  }
  return goners.length === 0 ? { kind: 'fits' } : { kind: 'unload', keys: goners.map(({ key }) => key) };
}

/** What would still be short if these had gone; undefined: nothing. */
function whyNot(question: RoomQuestion, goners: readonly RunningModel[]): string | undefined {
  const { neededBytes, availableBytes, reservedBytes, limitBytes, running } = question;
  const free =
    availableBytes === null ? null : availableBytes - reservedBytes + sum(goners.map((one) => one.heldBytes));
  const taken = sum(running.map((one) => one.mostBytes)) - sum(goners.map((one) => one.mostBytes)) + reservedBytes;
  if (limitBytes !== null && taken + neededBytes > limitBytes) {
    return `of the ${mebibytes(limitBytes)} that MODELS_MAX_MEMORY allows ${mebibytes(Math.max(0, limitBytes - taken))} are left`;
  }
  if (free !== null && neededBytes > free) return `${mebibytes(Math.max(0, free))} are free`;
  return undefined;
}

function refusal(question: RoomQuestion, goners: readonly RunningModel[]): string {
  const would = goners.length === 0 ? '' : ', even with all that are idle unloaded';
  return `it needs about ${mebibytes(question.neededBytes)} of memory, and ${whyNot(question, goners)}${would}`;
}

export function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
