/**
 * A client with its hand on the socket, to leave in every way a client can.
 */
import { connect, type Socket } from 'node:net';

export interface RawClient {
  readonly socket: Socket;
  received(): string;
  /** Resolves when what was received contains `text`. */
  sees(text: string): Promise<void>;
}

export async function post(
  url: string,
  path: string,
  body: unknown,
  options: { onlyBytes?: number } = {},
): Promise<RawClient> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let received = '';
  const watchers = new Set<() => void>();
  socket.setEncoding('utf8');
  socket.on('data', (chunk) => {
    received += chunk;
    for (const watch of watchers) watch();
  });
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve));
  const bytes = Buffer.from(JSON.stringify(body));
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Type: application/json\r\nContent-Length: ${bytes.length}\r\n\r\n`,
  );
  socket.write(bytes.subarray(0, options.onlyBytes ?? bytes.length));
  return {
    socket,
    received: () => received,
    sees: (text) =>
      new Promise((resolve, reject) => {
        const watch = () => {
          if (!received.includes(text)) return;
          watchers.delete(watch);
          resolve();
        };
        socket.once('close', () => reject(new Error(`closed before ${JSON.stringify(text)}: ${received}`)));
        watchers.add(watch);
        watch();
      }),
  };
}

/** Waits for a state to come, and says what is the case when it does not. */
export async function eventually<T>(
  read: () => T | Promise<T>,
  wanted: (value: T) => boolean,
  milliseconds = 5_000,
): Promise<void> {
  const end = performance.now() + milliseconds;
  for (let value = await read(); !wanted(value); value = await read()) {
    if (performance.now() > end) throw new Error(`still ${JSON.stringify(value)} after ${milliseconds} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
