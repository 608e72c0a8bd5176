/**
 * Stands between a client and an HTTP server and does to chosen requests what networks and servers do. Knows nothing of S3.
 */
import { request as ask, createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/**
 * refuse: the server fails, nothing was done. cut: the connection breaks in the middle of what is read, or before the answer to what
 * has been done. stall: half of the answer comes, then nothing.
 */
export type Fault = 'refuse' | 'cut' | 'stall';
export const FAULTS = ['refuse', 'cut'] as const satisfies readonly Fault[];

export interface Seen {
  readonly number: number;
  readonly method: string;
  readonly url: string;
  readonly bytes: number;
}

export interface FaultProxy {
  readonly endpoint: string;
  /** Asked before each request is passed on, counted from 0; it may take its time. */
  before: (request: Omit<Seen, 'bytes'>) => Promise<Fault | undefined> | Fault | undefined;
  /** What has come since the last `restart`. `bytes`: of the request's body. */
  readonly seen: readonly Seen[];
  restart(): void;
  stop(): Promise<void>;
}

export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const seen: Seen[] = [];
  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => outgoing.destroy());
  });

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/' } = incoming;
    const number = seen.length;
    seen.push({ number, method, url, bytes: 0 });
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    seen[number] = { number, method, url, bytes: body.length };
    const fault = await proxy.before({ number, method, url });
    if (fault === 'refuse') return void outgoing.writeHead(500).end();
    const answer = await forward(target, incoming, body);
    const half = answer.body.subarray(0, answer.body.length / 2);
    if (fault === 'cut' && (method !== 'GET' || half.length === 0)) return void outgoing.destroy();
    outgoing.writeHead(answer.status, answer.headers);
    if (fault === undefined) return void outgoing.end(answer.body);
    outgoing.write(half, () => {
      if (fault === 'cut') outgoing.destroy();
    });
  }

  const proxy: FaultProxy & { endpoint: string } = {
    endpoint: '',
    before: () => undefined,
    seen,
    restart: () => void seen.splice(0),
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  proxy.endpoint = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  return proxy;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

function forward(target: string, { method, url, headers }: IncomingMessage, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // The host header stays: it is part of what the client signed.
    const passed = ask(target + url, { method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 502, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    });
    passed.once('error', reject);
    passed.end(body);
  });
}
