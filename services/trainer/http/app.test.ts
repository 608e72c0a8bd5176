/** The table of endpoints is the truth: every route is in it, and every endpoint has a route. */

import { loadTrainerConfig } from '@slipway/shared/contracts/trainer-config.ts';
import { KeyRing } from '@slipway/shared/http/key-ring.ts';
import { createLogger, silence } from '@slipway/shared/lib/log.ts';
import { expect, it } from 'vitest';
import { createApp } from './app.ts';
import { ENDPOINTS } from './endpoints.ts';
import type { ServiceParts } from './service-parts.ts';

it('every route is in the table of endpoints, and every endpoint has a route', () => {
  const log = createLogger({ service: 'test', level: 'silent', destination: silence });
  // No route runs here: what only a request needs may be missing.
  const parts = { config: loadTrainerConfig({}), log, keys: new KeyRing(null) } as ServiceParts;
  const routes = createApp(parts)
    .routes.filter(({ method }) => method !== 'ALL')
    .map(({ method, path }) => `${method} ${path.replaceAll(/:\w+/g, '{}')}`);
  const listed = ENDPOINTS.map(({ method, path }) => `${method} ${path.replaceAll(/\{\w+\}/g, '{}')}`);
  expect([...new Set(routes).difference(new Set(listed))]).toEqual(['GET /docs/style.css']);
  expect([...new Set(listed).difference(new Set(routes))]).toEqual([]);
});

it('settings that are wrong are told all at once, without the password in one', () => {
  const wrong = { PORT: 'x', WORK_RUNS: 'perhaps' };
  expect(() => loadTrainerConfig(wrong)).toThrow(
    /2 problems:\n {2}- PORT must be .*\n {2}- WORK_RUNS must be true or false/,
  );
  expect(() => loadTrainerConfig({ JOBS_URL: 'http://:secret@x' })).toThrow(/JOBS_URL must be redis:[^\n]*PORT$/);
  expect(() => loadTrainerConfig({ JOBS_URL: 'http://:secret@x' })).not.toThrow(/secret/);
});
