/**
 * Cuts a stream of bytes into lines of UTF-8, none longer than allowed: memory does not grow with what a child writes. Knows no message.
 */

const LINE_BREAK = 10;

export class BoundedLines {
  readonly #longest: number;
  #pieces: Buffer[] = [];
  #held = 0;
  /** The rest of a line that is too long is thrown away until its end. */
  #skips = false;

  /** `longest`: bytes of a line without its break. */
  constructor(longest: number) {
    this.#longest = longest;
  }

  /** The lines that end in this piece. `whole` is false for the beginning of one that is too long. */
  push(chunk: Buffer): { readonly text: string; readonly whole: boolean }[] {
    const lines: { text: string; whole: boolean }[] = [];
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_BREAK, start);
      const piece = chunk.subarray(start, end === -1 ? undefined : end);
      if (!this.#skips) {
        const room = this.#longest - this.#held;
        if (piece.length > 0) this.#pieces.push(piece.subarray(0, room));
        this.#held += Math.min(piece.length, room);
        if (piece.length > room) {
          lines.push({ text: this.#take(), whole: false });
          this.#skips = true;
        }
      }
      if (end === -1) return lines;
      if (!this.#skips) lines.push({ text: this.#take(), whole: true });
      this.#skips = false;
      start = end + 1;
    }
  }

  /** What came after the last line break; empty when nothing did. */
  rest(): string {
    return this.#take();
  }

  #take(): string {
    const text = Buffer.concat(this.#pieces).toString('utf8');
    this.#pieces = [];
    this.#held = 0;
    return text;
  }
}
