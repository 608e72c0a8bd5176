/** Readers that are slow, over real connections: how long they may be, and how much they may keep waiting together. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Patience, UnsentAnswers } from './unsent-answers.ts';

const MEGABYTE = 2 ** 20;
/** More than the system itself takes for a reader who does not read. */
const LARGE = Buffer.alloc(24 * MEGABYTE, 'x');

let close: () => void = () => {};
afterEach(() => close());

interface Harness {
  readonly answers: UnsentAnswers;
  readonly ask: () => Socket;
}

async function serve(patience: Patience, answer: (response: ServerResponse, answers: UnsentAnswers) => void) {
  const answers = new UnsentAnswers(patience);
  const server = createServer((_, response) => answer(response, answers));
  answers.watch(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  close = () => {
    server.close();
    server.closeAllConnections();
  };
  const ask = () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    onTestFinished(() => void socket.destroy());
    return socket;
  };
  return { answers, ask } satisfies Harness;
}

/** What it gets until it is closed; reads only when told to. */
async function readAll(socket: Socket, pause: (received: number) => Promise<void> = async () => {}): Promise<number> {
  let received = 0;
  try {
    for await (const chunk of socket) {
      received += chunk.length;
      await pause(received);
    }
  } catch {
    // Cut off: what came until then counts.
  }
  return received;
}

async function eventually(read: () => number, wanted: number): Promise<void> {
  await vi.waitUntil(() => read() === wanted, { timeout: 20_000, interval: 2 });
}

const PATIENT: Patience = { mostBytes: 1000 * MEGABYTE, mostMilliseconds: 600_000, lookEveryMilliseconds: 10 };

describe('an answer that is not taken', () => {
  it('is given up after its time, whether nothing is read or a little', async () => {
    const { answers, ask } = await serve({ ...PATIENT, mostMilliseconds: 300 }, (response) => response.end(LARGE));
    const silent = ask();
    const dribbling = ask();
    silent.pause();
    const received = readAll(dribbling, () => new Promise((resolve) => setTimeout(resolve, 50)));
    await eventually(() => answers.count, 2);
    await eventually(() => answers.count, 0);
    dribbling.destroy();
    expect(await received).toBeLessThan(LARGE.length);
  });

  it('goes when all together are too much, who has waited longest first; who reads gets all of it', async () => {
    const { answers, ask } = await serve({ ...PATIENT, mostBytes: 60 * MEGABYTE }, (response) => response.end(LARGE));
    const silent: Socket[] = [];
    for (let reader = 0; reader < 4; reader++) {
      silent.push(ask().pause());
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await eventually(() => answers.count, 2);
    const reading = ask();
    let received = 0;
    reading.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    await vi.waitUntil(() => received > LARGE.length, { timeout: 20_000 });
    // What the first ones got is what the system had taken; the last one still gets everything.
    const last = silent.at(-1);
    received = 0;
    last?.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    last?.resume();
    await vi.waitUntil(() => received > LARGE.length, { timeout: 20_000 });
  });

  it('counts what a stream keeps beside it, and tells the stream', async () => {
    let wasCut = false;
    const { ask } = await serve({ ...PATIENT, mostBytes: MEGABYTE }, (response, answers) => {
      response.writeHead(200).flushHeaders();
      answers.weighStream(response, {
        queuedBytes: () => 2 * MEGABYTE,
        onCut: () => {
          wasCut = true;
        },
      });
    });
    await readAll(ask());
    expect(wasCut).toBe(true);
  });
});
