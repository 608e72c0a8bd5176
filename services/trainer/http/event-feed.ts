/**
 * Server-sent events that are read as fast as their reader takes them, each with the id to go on from after it. Knows nothing of what they say.
 */
export interface FeedEvent {
  readonly id: number;
  readonly event?: string;
  readonly data: string;
}

const HEARTBEAT_MILLISECONDS = 10_000;

/** `source` gives what has come, at times nothing; when nothing comes for long, a comment keeps the connection from being taken for dead. */
export function eventFeed(source: AsyncGenerator<readonly FeedEvent[]>, onEnd: () => void): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let lastAt = performance.now();
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        // So that the headers leave at once.
        controller.enqueue(encoder.encode(': follows\n\n'));
      },
      async pull(controller) {
        for (;;) {
          const { value: events = [], done } = await source.next().catch((error: unknown) => {
            onEnd();
            throw error;
          });
          if (done) {
            controller.close();
            onEnd();
            return;
          }
          const isSilent = events.length === 0 && performance.now() - lastAt < HEARTBEAT_MILLISECONDS;
          if (isSilent) continue;
          lastAt = performance.now();
          controller.enqueue(encoder.encode(events.length === 0 ? ': alive\n\n' : events.map(written).join('')));
          return;
        }
      },
      async cancel() {
        onEnd();
        await source.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

function written({ id, event, data }: FeedEvent): string {
  const lines = data.split(/\r\n|[\r\n]/).map((line) => `data: ${line}\n`);
  return `id: ${id}\n${event === undefined ? '' : `event: ${event}\n`}${lines.join('')}\n`;
}
