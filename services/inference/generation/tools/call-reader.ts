/**
 * One call while its text comes: an object with a name and arguments. Told as soon as it is one, where its properties stand in the order
 * in which models are shown them, or else at its end. Knows no markers and not what comes between calls.
 */
import { type CallHead, readCallHead } from './call-head.ts';
import { JsonDepth } from './json-depth.ts';

/** What text says of calls. */
export type CallEvent =
  | { readonly type: 'call'; readonly name: string }
  /** A further piece of the JSON of the call that was last told. */
  | { readonly type: 'arguments'; readonly text: string };

export interface CallReading {
  /** `broken`: no call after all, or one that cannot be read. */
  readonly state: 'more' | 'whole' | 'broken';
  readonly events: readonly CallEvent[];
  /** What came behind its end. */
  readonly rest: string;
}

interface Call {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

export class CallReader {
  readonly #names: ReadonlySet<string>;
  readonly #isBare: boolean;
  readonly #depth = new JsonDepth();
  #text = '';
  #read = 0;
  #head: CallHead | 'more' | 'other' = 'more';
  /** Up to where the arguments were told, and where they end. */
  #told = 0;
  #argumentsEnd: number | undefined;

  /** `names`: of the tools there are. `isBare`: nothing has said that it is a call, so that what begins in another way is none. */
  constructor(names: ReadonlySet<string>, isBare: boolean) {
    this.#names = names;
    this.#isBare = isBare;
  }

  push(text: string): CallReading {
    this.#text += text;
    const events: CallEvent[] = [];
    if (this.#head === 'more') {
      this.#head = readCallHead(this.#text);
      if (this.#isNone()) return { state: 'broken', events, rest: '' };
      if (typeof this.#head === 'object') events.push({ type: 'call', name: this.#head.name });
    }
    const isWhole = this.#scan();
    events.push(...this.#argumentsRead());
    if (!isWhole) return { state: 'more', events, rest: '' };
    const call = callIn(this.#text.slice(0, this.#read));
    const rest = this.#text.slice(this.#read);
    if (call === undefined || !this.#names.has(call.name)) return { state: 'broken', events, rest };
    if (this.#head === 'other') {
      events.push({ type: 'call', name: call.name });
      events.push({ type: 'arguments', text: JSON.stringify(call.arguments) });
    }
    return { state: 'whole', events, rest };
  }

  #isNone(): boolean {
    if (typeof this.#head === 'object') return !this.#names.has(this.#head.name);
    return this.#head === 'other' && (this.#isBare || !this.#text.trimStart().startsWith('{'));
  }

  /** True at the end of the object. */
  #scan(): boolean {
    let hasBegun = this.#depth.depth > 0;
    while (this.#read < this.#text.length) {
      this.#depth.push(this.#text.charAt(this.#read++));
      const { depth } = this.#depth;
      hasBegun ||= depth > 0;
      if (hasBegun && depth === 0) return true;
      if (depth === 1 && typeof this.#head === 'object' && this.#read > this.#head.argumentsAt) {
        this.#argumentsEnd ??= this.#read;
      }
    }
    return false;
  }

  #argumentsRead(): CallEvent[] {
    if (typeof this.#head !== 'object') return [];
    const from = Math.max(this.#told, this.#head.argumentsAt);
    this.#told = this.#argumentsEnd ?? this.#read;
    return this.#told > from ? [{ type: 'arguments', text: this.#text.slice(from, this.#told) }] : [];
  }
}

function callIn(text: string): Call | undefined {
  const { name, arguments: given, parameters } = objectIn(text) ?? {};
  if (typeof name !== 'string') return undefined;
  const value = given ?? parameters ?? {};
  const read = typeof value === 'string' ? objectIn(value) : value;
  return isObject(read) ? { name, arguments: read } : undefined;
}

function objectIn(json: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
