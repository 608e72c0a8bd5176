/**
 * The record of what one slot's cache holds, and how much of it another sequence may start from (see prefix-cache.ts).
 */
import type { SlotContents } from './prefix-cache.ts';

export class Slot implements SlotContents {
  readonly tokens: number[] = [];
  shareable = 0;
  usedAt = 0;

  addPrompt(chunk: readonly number[], isShareable: boolean): void {
    this.tokens.push(...chunk);
    if (isShareable) this.shareable = this.tokens.length;
  }

  addDecoded(token: number): void {
    this.tokens.push(token);
  }

  /** Forgets all but the first `length` positions. */
  truncate(length: number): void {
    this.tokens.length = Math.min(this.tokens.length, length);
    this.shareable = Math.min(this.shareable, length);
  }

  /** Holds the first `length` positions of `source` instead of its own. */
  copyFrom(source: Slot, length: number): void {
    this.truncate(0);
    this.tokens.push(...source.tokens.slice(0, length));
    this.shareable = Math.min(source.shareable, length);
    this.usedAt = source.usedAt;
  }
}
