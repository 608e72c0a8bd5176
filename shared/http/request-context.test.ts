/** What surrounds a request, in a real application: its line in the log, and what becomes of what is thrown. */
import { Hono } from 'hono';
import { beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../contracts/errors.ts';
import { createLogger } from '../lib/log.ts';
import {
  errorHandler,
  type FinishedRequest,
  notFoundHandler,
  type RequestEnvironment,
  requestContext,
} from './request-context.ts';

let lines: Record<string, unknown>[];
let finished: FinishedRequest[];
let app: Hono<RequestEnvironment>;

beforeEach(() => {
  lines = [];
  finished = [];
  const log = createLogger({
    service: 'test',
    level: 'debug',
    destination: { write: (line) => lines.push(JSON.parse(line)) },
  });
  app = new Hono<RequestEnvironment>();
  app.onError(errorHandler(log));
  app.notFound(notFoundHandler((path) => (path.startsWith('/items/') ? ['GET'] : [])));
  app.use(
    requestContext({
      log,
      isQuiet: (path) => path === '/probe',
      onBegun: () => ({ trace_id: 't1' }),
      onFinished: (request) => finished.push(request),
    }),
  );
  // As in every service: keys, headers and the like come after it.
  app.use((_, next) => next());
  app.get('/probe', (context) => context.text('ok'));
  app.get('/items/:id', (context) => {
    context.set('logged', { ...context.get('logged'), item: 1 });
    return context.text('ok');
  });
  app.get('/bug', () => {
    throw new Error('a secret of the inside');
  });
  app.get('/broken', () => {
    throw new AppError('bucket_unavailable', 'the bucket does not answer', { cause: new Error('ECONNREFUSED') });
  });
});

/** The line is written when the answer has been sent, here at once. */
async function ask(path: string) {
  const response = await app.request(path, { headers: { 'x-request-id': 'r1' } });
  const text = await response.text();
  const [line] = lines.filter(({ msg }) => msg === 'request');
  return { response, text, line, others: lines.filter(({ msg }) => msg !== 'request') };
}

describe('a request', () => {
  it('has one line with its route, what the route adds, and what was said when it began', async () => {
    const { line, others } = await ask('/items/7?secret=1');
    expect(line).toMatchObject({
      level: 'info',
      request_id: 'r1',
      trace_id: 't1',
      method: 'GET',
      path: '/items/7',
      route: '/items/:id',
      status: 200,
      item: 1,
    });
    expect(others).toEqual([]);
    expect(finished).toEqual([
      { method: 'GET', route: '/items/:id', status: 200, seconds: expect.any(Number), error: undefined },
    ]);
    expect(JSON.stringify(lines)).not.toContain('secret');
  });

  it('that is a probe is a line for those who debug', async () => {
    expect((await ask('/probe')).line).toMatchObject({ level: 'debug', route: '/probe' });
  });

  it('that nothing takes has no route', async () => {
    const { line } = await ask('/nowhere');
    expect(line).toMatchObject({ status: 404, error: 'not_found' });
    expect(line).not.toHaveProperty('route');
    expect(finished).toMatchObject([{ route: undefined, error: 'not_found' }]);
  });
});

describe('what is thrown', () => {
  it('as a bug tells a client its request id and nothing else; the log has the stack', async () => {
    const { response, text, line, others } = await ask('/bug');
    expect(response.status).toBe(500);
    expect(JSON.parse(text)).toEqual({
      error: {
        code: 'internal',
        message: 'something went wrong here; the log of request r1 says what',
        request_id: 'r1',
      },
    });
    expect(line).toMatchObject({ level: 'warn', status: 500, error: 'internal', route: '/bug' });
    expect(others).toMatchObject([{ level: 'error', request_id: 'r1', msg: 'a bug' }]);
    expect(JSON.stringify(others)).toContain('a secret of the inside');
    expect(JSON.stringify(others)).toContain('request-context.test.ts');
  });

  it('with a cause tells the client the message, and the log the cause', async () => {
    const { response, text, line, others } = await ask('/broken');
    expect(response.status).toBe(503);
    expect(text).toContain('the bucket does not answer');
    expect(text).not.toContain('ECONNREFUSED');
    expect(line).toMatchObject({ error: 'bucket_unavailable', reason: 'the bucket does not answer' });
    expect(JSON.stringify(others)).toContain('ECONNREFUSED');
  });
});
