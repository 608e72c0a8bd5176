/**
 * A Hugging Face hub on the loopback interface: model info, paged trees, `resolve` with its redirects (small files to a cache path of
 * the hub, large ones to a CDN of another origin), ranges, entity tags, error codes; and the faults a network has.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

export interface Fault {
  /** Which requests: their path, for the CDN after `CDN `, contains this. */
  readonly at: string;
  /** How often; default once. */
  times?: number;
  /** Answers so instead. */
  readonly status?: number;
  readonly headers?: Record<string, string>;
  /** Ends the connection after this many bytes of the body. */
  readonly cutAfter?: number;
  /** Sends bytes of the right number and the wrong value. */
  readonly wrongBytes?: true;
  /** Sends the body in small pieces with pauses of so many milliseconds. */
  readonly slow?: number;
  /** Sends the headers and then nothing more. */
  readonly silent?: true;
}

export interface HubServer {
  readonly endpoint: string;
  readonly faults: Fault[];
  /** `METHOD path range` of every request, in order. */
  readonly log: string[];
  /** Paths of requests to the CDN that carried a token. */
  readonly leaked: string[];
  /** Replaces the repository's files, as a new commit does. */
  commit(files: Readonly<Record<string, Buffer>>): string;
  close(): Promise<void>;
}

export interface HubOptions {
  /** Who asks for it without this token is told that it does not exist. */
  readonly token?: string;
  /** Metadata is open, files need the token. */
  readonly gated?: boolean;
  /** Files of at least this size are kept in LFS. */
  readonly largeFrom?: number;
  /** The CDN does not know ranges. */
  readonly withoutRanges?: boolean;
}

const PAGE = 3;

export async function startHub(repository: string, options: HubOptions = {}): Promise<HubServer> {
  const { largeFrom = 10_000 } = options;
  const commits = new Map<string, Readonly<Record<string, Buffer>>>();
  let head = '';
  const faults: Fault[] = [];
  const log: string[] = [];
  const leaked: string[] = [];

  const isLarge = (bytes: Buffer) => bytes.length >= largeFrom;
  const filesAt = (revision: string) => commits.get(revision === 'main' ? head : revision);

  function takeFault(path: string): Fault | undefined {
    const fault = faults.find(({ at, times = 1 }) => times > 0 && path.includes(at));
    if (fault) fault.times = (fault.times ?? 1) - 1;
    return fault;
  }

  function refuse(response: ServerResponse, status: number, code: string): void {
    response.writeHead(status, { 'X-Error-Code': code, 'Content-Type': 'application/json' });
    response.end(JSON.stringify({ error: code }));
  }

  /** Gives false when it has answered. */
  function isAllowed(request: IncomingMessage, response: ServerResponse, isFile: boolean): boolean {
    if (options.token === undefined || request.headers.authorization === `Bearer ${options.token}`) return true;
    if (options.gated) {
      if (!isFile) return true;
      refuse(response, request.headers.authorization === undefined ? 401 : 403, 'GatedRepo');
    } else refuse(response, request.headers.authorization === undefined ? 401 : 404, 'RepoNotFound');
    return false;
  }

  async function send(request: IncomingMessage, response: ServerResponse, bytes: Buffer, etag: string, fault?: Fault) {
    const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const ifRange = request.headers['if-range'];
    const isPart = from > 0 && options.withoutRanges !== true && (ifRange === undefined || ifRange === etag);
    const body = Buffer.from(isPart ? bytes.subarray(from) : bytes);
    if (fault?.wrongBytes) body.fill(0x21);
    response.writeHead(isPart ? 206 : 200, {
      ETag: etag,
      'Accept-Ranges': 'bytes',
      'Content-Length': body.length,
      ...(isPart ? { 'Content-Range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {}),
    });
    response.flushHeaders();
    if (fault?.silent) return;
    if (fault?.cutAfter !== undefined) {
      response.write(body.subarray(0, fault.cutAfter), () => request.socket.destroySoon());
      return;
    }
    const piece = fault?.slow === undefined ? body.length : 4096;
    for (let at = 0; at < body.length && !response.destroyed; at += piece) {
      response.write(body.subarray(at, at + piece));
      if (fault?.slow !== undefined) await new Promise((resolve) => setTimeout(resolve, fault.slow));
    }
    response.end();
  }

  const cdn = createServer((request, response) => {
    const path = request.url ?? '';
    log.push(`CDN ${path} ${request.headers.range ?? ''}`.trim());
    if (request.headers.authorization !== undefined) leaked.push(path);
    const fault = takeFault(`CDN ${path}`);
    if (fault?.status !== undefined) {
      response.writeHead(fault.status, fault.headers).end();
      return;
    }
    const [, commit = '', name = ''] = path.split('/').map(decodeURIComponent);
    const bytes = commits.get(commit)?.[name];
    if (!bytes) response.writeHead(403).end();
    // A tag of its own: not the one of X-Linked-Etag.
    else void send(request, response, bytes, `"cdn-${gitSha1(bytes)}"`, fault);
  });
  const cdnUrl = await listen(cdn);

  const hub = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://hub');
    const path = url.pathname;
    log.push(`${request.method} ${path} ${request.headers.range ?? ''}`.trim());
    const fault = takeFault(path);
    if (fault?.status !== undefined) {
      response.writeHead(fault.status, fault.headers).end();
      return;
    }
    const api = `/api/models/${repository}/`;
    const isFile = !path.startsWith('/api/models/');
    if (!path.startsWith(isFile ? `/${repository}/` : api) && !path.startsWith('/api/resolve-cache/')) {
      refuse(response, 401, 'RepoNotFound');
      return;
    }
    if (!isAllowed(request, response, isFile)) return;
    const [verb = '', revision = '', ...rest] = path
      .slice(path.startsWith('/api/resolve-cache/') ? '/api/'.length : isFile ? repository.length + 2 : api.length)
      .split('/')
      .map(decodeURIComponent);
    const files = filesAt(revision);
    if (!files) {
      refuse(response, 404, 'RevisionNotFound');
      return;
    }
    const commit = revision === 'main' ? head : revision;
    if (verb === 'revision') {
      json(response, { _id: '1', id: repository, sha: commit, private: false, gated: options.gated ? 'auto' : false });
    } else if (verb === 'tree') tree(url, response, files);
    else resolveFile(request, response, commit, rest.join('/'), files, verb === 'resolve', fault);
  });
  const endpoint = await listen(hub);

  function tree(url: URL, response: ServerResponse, files: Readonly<Record<string, Buffer>>): void {
    const names = Object.keys(files).sort();
    const from = Number(url.searchParams.get('cursor') ?? 0);
    const next = new URL(`${endpoint}${url.pathname}${url.search}`);
    next.searchParams.set('cursor', String(from + PAGE));
    const link = from + PAGE < names.length ? { Link: `<${next}>; rel="next"` } : {};
    const entries = names.slice(from, from + PAGE).map((path) => {
      const bytes = files[path] ?? Buffer.alloc(0);
      const oid = gitSha1(bytes);
      const entry = { type: 'file', oid, size: bytes.length, path };
      return isLarge(bytes) ? { ...entry, lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 134 } } : entry;
    });
    json(response, from === 0 ? [{ type: 'directory', oid: head, size: 0, path: 'onnx' }, ...entries] : entries, link);
  }

  function resolveFile(
    request: IncomingMessage,
    response: ServerResponse,
    commit: string,
    path: string,
    files: Readonly<Record<string, Buffer>>,
    isFirst: boolean,
    fault: Fault | undefined,
  ): void {
    const bytes = files[path];
    if (!bytes) {
      refuse(response, 404, 'EntryNotFound');
      return;
    }
    const etag = isLarge(bytes) ? sha256(bytes) : gitSha1(bytes);
    const known = { 'X-Repo-Commit': commit, 'X-Linked-Etag': `"${etag}"`, 'X-Linked-Size': bytes.length };
    if (isFirst && isLarge(bytes)) {
      response.writeHead(302, { ...known, Location: `${cdnUrl}/${commit}/${encodeURIComponent(path)}` }).end();
    } else if (isFirst) {
      const place = `/api/resolve-cache/${commit}/${encodeURIComponent(path)}`;
      response.writeHead(307, { ...known, ETag: `"${etag}"`, Location: place }).end();
    } else void send(request, response, bytes, `"${etag}"`, fault);
  }

  return {
    endpoint,
    faults,
    log,
    leaked,
    commit(files) {
      head = createHash('sha1').update(`${commits.size}`).digest('hex');
      commits.set(head, files);
      return head;
    },
    async close() {
      for (const server of [hub, cdn]) {
        server.closeAllConnections();
        server.close();
      }
    },
  };
}

function json(response: ServerResponse, value: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(value));
}

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return `http://127.0.0.1:${address.port}`;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function gitSha1(bytes: Buffer): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}
