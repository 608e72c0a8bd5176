/** Clients that take their time, by the hundred: others are answered meanwhile, and what the slow ones hold is given up. */
import { connect, type Socket } from 'node:net';
import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { eventually, post } from './testing/raw-client.ts';
import { startTestService, type TestService } from './testing/test-service.ts';

let service: TestService;
afterEach(() => service.close());

async function start(config: Partial<ServiceConfig>): Promise<void> {
  service = await startTestService({ config });
}

/** Sends `head` at once, then one byte of nothing in particular every 50 ms for as long as it may. */
function dribble(head: string): Socket {
  const { hostname, port } = new URL(service.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  socket.write(head);
  const timer = setInterval(() => socket.writable && socket.write('a'), 50);
  socket.once('close', () => clearInterval(timer));
  onTestFinished(() => void socket.destroy());
  return socket;
}

const SLOW_HEAD = 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ';
const SLOW_BODY = 'POST /generate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{"prompt": "';
const SHORT = { prompt: 'hi', max_new_tokens: 2 };

/** On a connection of its own, as somebody who comes anew. */
async function askAnew(): Promise<string> {
  const client = await post(service.url, '/generate', SHORT);
  await client.sees('\r\n\r\n');
  const [, status = ''] = client.received().split(' ');
  client.socket.destroy();
  return status;
}

describe('hundreds of clients that never finish their head', () => {
  it('keep nobody from being answered', async () => {
    await start({ maxConnections: 100 });
    const slow = Array.from({ length: 400 }, () => dribble(SLOW_HEAD));
    await eventually(
      () => slow.filter(({ closed }) => closed).length,
      (closed) => closed >= 300,
    );
    for (let request = 0; request < 50; request++) {
      expect(await askAnew()).toBe('200');
      expect((await service.get('/healthz')).status).toBe(200);
      // Whoever was closed comes again.
      dribble(SLOW_HEAD);
    }
  });

  it('make room by who has been silent for longest; who is being answered is not silent', async () => {
    service = await startTestService({ decodeDelay: 20, config: { maxConnections: 16 } });
    const answered = await post(service.url, '/generate', {
      prompt: 'a',
      max_new_tokens: 60,
      ignore_eos: true,
      stream: true,
    });
    await answered.sees('token_ids');
    const first = dribble(SLOW_HEAD);
    await eventually(
      () => first.readyState,
      (state) => state === 'open',
    );
    const others = Array.from({ length: 40 }, () => dribble(SLOW_HEAD));
    await eventually(
      () => others.filter(({ closed }) => closed).length,
      (closed) => closed >= 25,
    );
    expect(first.closed).toBe(true);
    await answered.sees('event: done');
  });

  it('are told so after ten seconds', async () => {
    await start({});
    const socket = dribble(SLOW_HEAD);
    let received = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      received += text;
    });
    await eventually(
      () => socket.closed,
      (closed) => closed,
      20_000,
    );
    expect(received).toMatch(/^HTTP\/1\.1 408 /);
    expect(received).toContain('"code":"request_timeout"');
    expect(received).toContain('X-Content-Type-Options: nosniff');
  });
});

describe('clients that never finish their bodies', () => {
  it('give way to others as soon as they have had time enough', async () => {
    // Room for 1 + 3 + 32 requests, all of it taken by dribblers.
    await start({ occupancySemaphore: 1, queueLimit: 3 });
    const slow = Array.from({ length: 36 }, () => {
      const socket = dribble(SLOW_BODY);
      let received = '';
      socket.setEncoding('utf8').on('data', (text: string) => {
        received += text;
      });
      return { socket, received: () => received };
    });
    await eventually(askAnew, (status) => status === '503');
    await eventually(askAnew, (status) => status === '200');
    for (let request = 0; request < 20; request++) expect(await askAnew()).toBe('200');
    const told = slow.filter(({ received }) => received().includes('"code":"request_timeout"'));
    expect(told.length).toBeGreaterThanOrEqual(1);
    for (const { received } of told) expect(received()).toMatch(/^HTTP\/1\.1 408 /);
    await eventually(
      () => told.filter(({ socket }) => socket.closed).length,
      (closed) => closed === told.length,
    );
  });

  it('cannot make the service hold much by promising much', async () => {
    await start({ bodyLimitBytes: 8 * 2 ** 20 });
    const declared = 8 * 2 ** 20;
    const large = Array.from({ length: 12 }, () =>
      dribble(`POST /generate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${declared}\r\n\r\n{"prompt": "`),
    );
    const answers = large.map(
      (socket) => new Promise<string>((resolve) => socket.setEncoding('utf8').once('data', resolve)),
    );
    // Eight of them fit into 64 MiB.
    const refused = await Promise.all([8, 9, 10, 11].map(() => Promise.race(answers)));
    expect(refused[0]).toMatch(/^HTTP\/1\.1 503 /);
    expect(await askAnew()).toBe('503');
    await eventually(askAnew, (status) => status === '200');
  });
});

describe('a client that is no HTTP client', () => {
  it.each([
    ['noise', '\u0000\u0001\u0002 what\r\n\r\n', 400, 'malformed_request'],
    ['no such version', 'GET / HTTP/9.9\r\n\r\n', 400, 'malformed_request'],
    [
      'two lengths',
      'POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      400,
      'malformed_request',
    ],
    [
      'a length and chunks',
      'POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'malformed_request',
    ],
    ['headers without end', `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(20_000)}`, 431, 'headers_too_large'],
    ['a host that is none', 'GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n', 400, 'malformed_request'],
    [
      'an address that is none',
      'GET //%zz\\ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n',
      400,
      'malformed_request',
    ],
  ])('is told so: %s', async (_, bytes, status, code) => {
    await start({});
    const { hostname, port } = new URL(service.url);
    const socket = connect(Number(port), hostname);
    let received = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      received += text;
    });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(bytes);
    await closed;
    expect(received).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(received.toLowerCase()).toContain('x-content-type-options: nosniff');
    const body = JSON.parse(received.slice(received.indexOf('\r\n\r\n') + 4));
    expect(body.error).toMatchObject({ code, request_id: expect.stringMatching(/^req-/) });
  });
});
