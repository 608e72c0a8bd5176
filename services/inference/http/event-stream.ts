/**
 * Server-sent events over a web stream. Knows nothing of what the events say. A reader who is slow costs memory, which the length of
 * an answer bounds, but never holds up the engine.
 */

export class EventStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly #encoder = new TextEncoder();
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor() {
    this.readable = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#controller = undefined;
      },
    });
  }

  /** After the end, or when the reader has left, nothing happens. */
  send(data: unknown, event?: string): void {
    // JSON never holds a raw line break, so that one data line is enough.
    const lines = `${event === undefined ? '' : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`;
    this.#controller?.enqueue(this.#encoder.encode(lines));
  }

  close(): void {
    this.#controller?.close();
    this.#controller = undefined;
  }
}

export const EVENT_STREAM_HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache, no-transform',
  // Tells nginx and its relatives not to collect the events.
  'X-Accel-Buffering': 'no',
} as const;
