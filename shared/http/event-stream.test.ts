/** What waits for a reader is counted, until it is taken, and after the end as well. */
import { expect, it } from 'vitest';
import { EventStream } from './event-stream.ts';

it('counts the bytes that its reader has not taken', async () => {
  const events = new EventStream();
  expect(events.queuedBytes).toBe(0);
  events.send('é');
  events.send('a', 'done');
  const [first, second] = ['data: "é"\n\n', 'event: done\ndata: "a"\n\n'].map((text) => Buffer.byteLength(text));
  expect(events.queuedBytes).toBe((first ?? 0) + (second ?? 0));
  events.close();
  events.send('after the end');
  events.close();
  const reader = events.readable.getReader();
  expect((await reader.read()).value).toHaveLength(first ?? 0);
  expect(events.queuedBytes).toBe(second);
  await reader.read();
  expect((await reader.read()).done).toBe(true);
  expect(events.queuedBytes).toBe(0);
});

it('keeps nothing for a reader who has left', async () => {
  const events = new EventStream();
  events.send('a');
  await events.readable.cancel();
  events.send('b');
  events.close();
  expect(events.queuedBytes).toBe(0);
});
