/**
 * Calls of tools in what a model writes, found while it comes: what is text is told as text, a call by its name and then its arguments,
 * and neither has the markers. What only looked like a call is text. Pure. Knows no field of an API.
 */
import { type CallEvent, CallReader } from './call-reader.ts';
import type { ToolSyntax } from './tool-syntax.ts';

export type ToolEvent = { readonly type: 'content'; readonly text: string } | CallEvent;

export interface ToolCallParserOptions {
  readonly syntax: ToolSyntax;
  /** Of the tools there are: a call of another is text. */
  readonly names: ReadonlySet<string>;
  /** What comes after so many calls is left out. */
  readonly mostCalls: number;
  /** A call may begin the answer without a marker. */
  readonly isBare: boolean;
  /** The answer is calls and nothing else: what is left of one that was cut is no text. */
  readonly isForced: boolean;
  /** Calls are told when they are whole, so that broken ones can still be text. */
  readonly holds: boolean;
}

/** Every call that was begun and not ended makes its text be read once more. */
const MOST_TRIES = 16;

/** A call that is being read. */
interface OpenCall {
  readonly reader: CallReader;
  /** What it began with, and what came since: the text that it is when it is no call. */
  mark: string;
  body: string;
  /** Kept until it is whole. */
  readonly held: CallEvent[];
  isTold: boolean;
}

export class ToolCallParser {
  readonly #options: ToolCallParserOptions;
  #place: 'beginning' | 'text' | 'between calls' = 'beginning';
  #call: OpenCall | undefined;
  /** Not looked at yet, or not enough to say what it is. */
  #rest = '';
  #wholeCalls = 0;
  /** Spaces behind a call go with it. */
  #isBehindCall = false;
  #events: ToolEvent[] = [];

  constructor(options: ToolCallParserOptions) {
    this.#options = options;
  }

  /** Calls that came whole, so that they can be answered. */
  get wholeCalls(): number {
    return this.#wholeCalls;
  }

  push(text: string): ToolEvent[] {
    this.#rest += text;
    this.#read();
    return this.#take();
  }

  /** What was still held back. */
  end(): ToolEvent[] {
    if (!this.#options.isForced) {
      for (let tries = 0; this.#call !== undefined && tries < MOST_TRIES; tries++) {
        this.#giveUp(this.#call, '');
        this.#read();
      }
      if (this.#call !== undefined) this.#tell(this.#call.mark + this.#call.body);
      else if (this.#place !== 'between calls') this.#tell(this.#rest);
    }
    this.#rest = '';
    return this.#take();
  }

  #take(): ToolEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  #read(): void {
    let goesOn = true;
    while (goesOn && this.#wholeCalls < this.#options.mostCalls) {
      if (this.#call !== undefined) goesOn = this.#readCall(this.#call);
      else if (this.#place === 'beginning') goesOn = this.#readBeginning();
      else goesOn = this.#place === 'text' ? this.#readText() : this.#readBetweenCalls();
    }
  }

  // Each of these reads what it can, and says whether there is more to read.

  #readBeginning(): boolean {
    const begin = this.#rest.trimStart();
    if (begin === '') return false;
    this.#place = 'text';
    if (this.#options.isBare && /^[[{]/.test(begin)) this.#open('', this.#rest);
    return true;
  }

  #readText(): boolean {
    const marker = this.#options.syntax.marker ?? '';
    const at = marker === '' ? -1 : this.#rest.indexOf(marker);
    // Spaces before a marker go with it.
    const kept = this.#rest.slice(0, at === -1 ? this.#rest.length - unfinished(this.#rest, marker) : at).trimEnd();
    this.#tell(kept);
    if (at === -1) {
      this.#rest = this.#rest.slice(kept.length);
      return false;
    }
    const end = at + marker.length;
    this.#open(this.#rest.slice(kept.length, end), this.#rest.slice(end));
    return true;
  }

  #readCall(call: OpenCall): boolean {
    if (call.body === '' && this.#options.syntax.isList) {
      // Of a list only what is in it is a call.
      const begin = this.#rest.trimStart();
      if (begin === '') return false;
      if (begin.startsWith('[')) {
        call.mark += this.#rest.slice(0, this.#rest.length - begin.length + 1);
        this.#rest = begin.slice(1);
      }
    }
    const text = this.#rest;
    this.#rest = '';
    call.body += text;
    const { state, events, rest } = call.reader.push(text);
    if (this.#options.holds) call.held.push(...events);
    else {
      this.#events.push(...events);
      call.isTold ||= events.length > 0;
    }
    if (state === 'more') return false;
    if (state === 'broken') this.#giveUp(call, rest);
    else {
      this.#events.push(...call.held);
      this.#wholeCalls++;
      this.#close('between calls', rest);
    }
    return true;
  }

  #readBetweenCalls(): boolean {
    const { isBare, syntax } = this.#options;
    const { closing, separator, isList } = syntax;
    const next = this.#rest.trimStart();
    if (next === '') return false;
    if (closing !== null && closing !== next && closing.startsWith(next)) return false;
    if (closing !== null && next.startsWith(closing)) this.#close('text', next.slice(closing.length));
    else if (next.startsWith(separator)) this.#open(separator, next.slice(separator.length));
    else if (isBare && next.startsWith('{')) this.#open('', next);
    else this.#close('text', isList && next.startsWith(']') ? next.slice(1) : next);
    return true;
  }

  #open(mark: string, rest: string): void {
    const { names, syntax } = this.#options;
    const isMarked = syntax.marker !== null && mark.endsWith(syntax.marker);
    this.#call = { reader: new CallReader(names, !isMarked), mark, body: '', held: [], isTold: false };
    this.#rest = rest;
  }

  #close(place: 'text' | 'between calls', rest: string): void {
    this.#call = undefined;
    this.#place = place;
    this.#rest = rest;
    if (place === 'between calls') this.#isBehindCall = true;
  }

  /** What has been told of a call cannot be taken back; otherwise it is text, in which there may be another. */
  #giveUp(call: OpenCall, rest: string): void {
    if (call.isTold) this.#close('between calls', rest);
    else {
      this.#tell(call.mark);
      this.#close('text', call.body);
    }
  }

  #tell(text: string): void {
    const content = this.#isBehindCall ? text.trimStart() : text;
    if (content === '') return;
    this.#isBehindCall = false;
    this.#events.push({ type: 'content', text: content });
  }
}

/** Length of the longest end of `text` with which `marker` begins. */
function unfinished(text: string, marker: string): number {
  for (let length = Math.min(text.length, marker.length - 1); length > 0; length--) {
    if (text.endsWith(marker.slice(0, length))) return length;
  }
  return 0;
}
