/** The table of endpoints is the truth: whatever is tried on all endpoints, random bytes among it, takes them from there. */
import { loadServiceConfig } from '@slipway/shared/contracts/config.ts';
import { KeyRing } from '@slipway/shared/http/key-ring.ts';
import { createLogger, silence } from '@slipway/shared/lib/log.ts';
import { expect, it } from 'vitest';
import { createApp } from './app.ts';
import { ENDPOINTS } from './endpoints.ts';
import type { ServiceParts } from './service-parts.ts';

it('every route is in the table of endpoints, and every endpoint has a route', async () => {
  const log = createLogger({ service: 'test', level: 'silent', destination: silence });
  // No route runs here: what only a request needs may be missing.
  const parts = { config: await loadServiceConfig({ path: null }), log, keys: new KeyRing(null) } as ServiceParts;
  const routes = createApp(parts)
    .routes.filter(({ method }) => method !== 'ALL')
    .map(({ method, path }) => `${method} ${path.replaceAll(/:\w+(?:\{[^}]*\})?/g, '{}')}`);
  const listed = ENDPOINTS.map(({ method, path }) => `${method} ${path.replaceAll(/\{\w+\}/g, '{}')}`);
  const unlisted = new Set(routes).difference(new Set(listed));
  // What pages are made of is no endpoint, nor are the turns of a socket, which the service asks of itself.
  expect([...unlisted].sort()).toEqual(['GET /docs/style.css', 'GET /ui/*', 'POST /ws/chat']);
  expect([...new Set(listed).difference(new Set(routes))]).toEqual([]);
});
