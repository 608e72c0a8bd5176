/**
 * Requests as bytes, right ones and broken ones, and whatever comes back.
 */
import { connect } from 'node:net';
import type { Endpoint } from './listed-endpoints.ts';
import type { Random } from './random.ts';

const WAIT_MILLISECONDS = 20_000;
/** A client that ends its side has left; what it asked until then is not answered. */
const PATIENCE_MILLISECONDS = 100;

/** Sends the bytes and gives what came until the other side ended; when they are not a whole request our side ends after a while. */
export function exchange(url: string, bytes: Uint8Array, isWhole: boolean): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let received = '';
    const timer = setTimeout(() => {
      reject(
        new Error(`no end after ${WAIT_MILLISECONDS} ms: ${JSON.stringify(Buffer.from(bytes).toString('latin1'))}`),
      );
      socket.destroy();
    }, WAIT_MILLISECONDS);
    socket.setEncoding('latin1').on('data', (text: string) => {
      received += text;
    });
    // A server may close while it is still being written to.
    socket.on('error', () => {});
    const patience = isWhole ? undefined : setTimeout(() => socket.end(), PATIENCE_MILLISECONDS);
    socket.once('close', () => {
      clearTimeout(timer);
      clearTimeout(patience);
      resolve(received);
    });
    socket.write(bytes);
  });
}

/** The status of every answer in what came. */
export function statusesIn(received: string): number[] {
  return [...received.matchAll(/(?:^|\r\n)HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}

const HEADERS = [
  'Content-Type: application/json',
  'Content-Type: multipart/form-data; boundary=x',
  'Content-Type: multipart/form-data',
  'Content-Type: ',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: x',
  'Content-Length: 0',
  'Content-Length: 5',
  'Content-Length: -1',
  'Content-Length: 99999999999999999999',
  'Content-Encoding: gzip',
  'Expect: 100-continue',
  'Expect: a miracle',
  'Connection: upgrade\r\nUpgrade: websocket',
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__',
  'Connection: close',
  'Host: ',
  'Host: a b',
  'Host: [::1',
  'Host: evil.example',
  'Host: x\r\nHost: y',
  'Origin: null',
  'Origin: https://evil.example',
  'Authorization: Bearer ',
  'Authorization: Bearer \u00ff\u00fe',
  'X-Request-ID: a b',
  'X-Request-ID: \u00e9',
  'X-Forwarded-For: ,,,,',
  'Range: bytes=0-',
  'Accept: text/html;q=\u00ff',
  'Accept-Encoding: identity;q=0',
  'traceparent: 00-0-0-0',
  ': nothing',
  'X\u0000Y: z',
  ' folded: x',
  'a'.repeat(300),
];

export function rightRequest({ method, path }: Endpoint, body: string): Buffer {
  const head = `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n`;
  if (method === 'GET' || method === 'DELETE') return Buffer.from(`${head}\r\n`);
  const bytes = Buffer.from(body);
  return Buffer.concat([Buffer.from(`${head}Content-Length: ${bytes.length}\r\n\r\n`), bytes]);
}

/** One to four things go wrong with it. */
export function broken(request: Buffer, random: Random): Buffer {
  let bytes = request;
  for (let fault = random.below(4); fault >= 0; fault--) bytes = random.pick(FAULTS)(bytes, random);
  return bytes;
}

type Fault = (bytes: Buffer, random: Random) => Buffer;

const FAULTS: readonly Fault[] = [
  // A byte becomes another.
  (bytes, random) => splice(bytes, random.below(bytes.length), 1, random.bytes(1)),
  (bytes, random) => splice(bytes, random.below(bytes.length), 1, random.bytes(1)),
  // Bytes come in between, or are missing.
  (bytes, random) => splice(bytes, random.below(bytes.length), 0, random.bytes(1 + random.below(20))),
  (bytes, random) => splice(bytes, random.below(bytes.length), 1 + random.below(20), Buffer.alloc(0)),
  // It ends early, or goes on with noise.
  (bytes, random) => bytes.subarray(0, 1 + random.below(bytes.length)),
  (bytes, random) => Buffer.concat([bytes, random.bytes(random.below(200))]),
  // Another header, in between the others.
  (bytes, random) => inHead(bytes, `${random.pick(HEADERS)}\r\n`),
  (bytes, random) => inHead(bytes, `${random.pick(HEADERS)}\r\n`),
  // Another method, target or version.
  (bytes, random) =>
    withWord(
      bytes,
      0,
      random.pick(['GET', 'POST', 'PUT', 'TRACE', 'CONNECT', 'HEAD', 'OPTIONS', 'PRI', 'X', 'get', 'M-SEARCH']),
    ),
  (bytes, random) => withWord(bytes, 1, random.pick(TARGETS)),
  (bytes, random) =>
    withWord(
      bytes,
      2,
      random.pick(['HTTP/1.0\r\n', 'HTTP/0.9\r\n', 'HTTP/2.0\r\n', 'HTP/1.1\r\n', '\r\n', 'HTTP/1.1\n']),
    ),
  // Twice.
  (bytes) => Buffer.concat([bytes, bytes]),
  // Nothing but noise.
  (_, random) => random.bytes(1 + random.below(300)),
];

const TARGETS = [
  ...[
    '*',
    '/',
    '//',
    '///',
    '/%',
    '/%zz',
    '/%00',
    '/..',
    '/../..',
    '/ui/../generate',
    '/ui/%2e%2e/package.json',
    '/generate/',
  ],
  ...[
    '/generate?',
    '/generate#x',
    '/\\',
    '/a\\b',
    'generate',
    'http://',
    'http://127.0.0.1/healthz',
    'https://evil.example/',
    'ftp://x/',
  ],
  ...[
    '/\u00ff',
    '/%ff%fe',
    '/?%',
    '/?a=%zz',
    `/${'a'.repeat(10_000)}`,
    `/?${'a=b&'.repeat(2000)}`,
    '/__proto__',
    '/constructor',
  ],
];

function splice(bytes: Buffer, at: number, remove: number, insert: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
}

function inHead(bytes: Buffer, line: string): Buffer {
  const end = bytes.indexOf('\r\n');
  return end === -1 ? bytes : splice(bytes, end + 2, 0, Buffer.from(line, 'latin1'));
}

/** Of the first line. */
function withWord(bytes: Buffer, index: number, word: string): Buffer {
  const [line = '', ...rest] = bytes.toString('latin1').split('\r\n');
  const words = line.split(' ');
  words[index] = word;
  return Buffer.from([words.join(' '), ...rest].join('\r\n'), 'latin1');
}
