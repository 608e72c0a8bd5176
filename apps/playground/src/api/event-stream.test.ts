import { expect, it } from 'vitest';
import { readEvents } from './event-stream.ts';

function streamOf(...chunks: readonly (string | Uint8Array<ArrayBuffer>)[]): Response {
  const encoder = new TextEncoder();
  return new Response(
    new ReadableStream({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(typeof chunk === 'string' ? encoder.encode(chunk) : chunk);
        controller.close();
      },
    }),
  );
}

async function read(response: Response): Promise<unknown[]> {
  const events: unknown[] = [];
  for await (const event of readEvents(response)) events.push(event);
  return events;
}

it('reads events however the network cuts them, half characters included', async () => {
  const bytes = new TextEncoder().encode(
    'data: {"text":"Ä ⚓"}\n\ndata: {"text":"b"}\r\n\r\n: still here\n\ndata: [DONE]\n\n',
  );
  const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
  expect(await read(streamOf(bytes))).toEqual([{ text: 'Ä ⚓' }, { text: 'b' }]);
  expect(await read(streamOf(...single))).toEqual([{ text: 'Ä ⚓' }, { text: 'b' }]);
});

it('says when an answer breaks off', async () => {
  await expect(read(streamOf('data: {"text":"a"}\n\n'))).rejects.toMatchObject({ problem: { kind: 'unreachable' } });
});

it('lets go of the connection when nobody reads on', async () => {
  let cancelled = false;
  const endless = new Response(
    new ReadableStream({
      pull: (controller) => controller.enqueue(new TextEncoder().encode('data: 1\n\n')),
      cancel: () => {
        cancelled = true;
      },
    }),
  );
  for await (const event of readEvents(endless)) {
    expect(event).toBe(1);
    break;
  }
  await expect.poll(() => cancelled).toBe(true);
});
