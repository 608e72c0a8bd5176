/** The guard before routes that not every key may use, in a real application. */
import { createHash } from 'node:crypto';
import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import { createLogger, silence } from '../lib/log.ts';
import { identifyCaller } from './api-key.ts';
import { KeyRing } from './key-ring.ts';
import { errorHandler, type RequestEnvironment, requestContext } from './request-context.ts';
import { requireScope } from './require-scope.ts';

const log = createLogger({ service: 'test', level: 'silent', destination: silence });
const ring = new KeyRing('root');
ring.replaceFile([{ name: 'app', sha256: createHash('sha256').update('app-key').digest('hex'), scopes: ['infer'] }]);

const app = new Hono<RequestEnvironment>();
app.onError(errorHandler(log));
app.use(
  requestContext({ log, isQuiet: () => false, onBegun: () => ({}), onFinished: () => {} }),
  identifyCaller(ring, (path) => path === '/open'),
);
app.post('/models/load', requireScope('admin'), (context) => context.text('loaded'));
app.get('/open', requireScope('infer'), (context) => context.text('open'));

const load = (key: string) => app.request('/models/load', { method: 'POST', headers: { 'x-api-key': key } });

describe('requireScope', () => {
  it('lets in who has the scope, and tells others what they lack', async () => {
    expect((await load('root')).status).toBe(200);
    const refused = await load('app-key');
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({
      error: { code: 'forbidden', message: '/models/load needs a key with the scope admin; the key app has infer' },
    });
  });

  it('keeps passers-by out on an open path', async () => {
    expect((await app.request('/open')).status).toBe(403);
  });
});
