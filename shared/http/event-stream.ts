/**
 * Server-sent events over a web stream. Knows nothing of what the events say. A reader who is slow never holds up the engine; what waits for
 * it is counted, and bounded elsewhere.
 */

export class EventStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly #encoder = new TextEncoder();
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #isEnded = false;

  constructor() {
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        cancel: () => {
          this.#controller = undefined;
        },
      },
      { highWaterMark: 0, size: (chunk) => chunk.byteLength },
    );
  }

  /** What the reader has not yet taken. */
  get queuedBytes(): number {
    return 0 - (this.#controller?.desiredSize ?? 0);
  }

  /** After the end, or when the reader has left, nothing happens. */
  send(data: unknown, event?: string): void {
    // JSON never holds a raw line break, so that one data line is enough.
    this.#write(`${event === undefined ? '' : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`);
  }

  /** What tells clients of OpenAI that the answer is whole. */
  sendDone(): void {
    this.#write('data: [DONE]\n\n');
  }

  #write(lines: string): void {
    if (!this.#isEnded) this.#controller?.enqueue(this.#encoder.encode(lines));
  }

  close(): void {
    if (!this.#isEnded) this.#controller?.close();
    this.#isEnded = true;
  }
}

export const EVENT_STREAM_HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache, no-transform',
  // Tells nginx and its relatives not to collect the events.
  'X-Accel-Buffering': 'no',
} as const;
