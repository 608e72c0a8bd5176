/**
 * The paths of conversations. Their code is loaded when the first of them is asked for.
 */

import { lazyRoute } from '@slipway/shared/http/lazy-route.ts';
import type { RequestEnvironment } from '@slipway/shared/http/request-context.ts';
import type { Hono } from 'hono';
import type { ServiceParts } from '../../service-parts.ts';

export function routeChat(app: Hono<RequestEnvironment>, parts: ServiceParts): void {
  const sessions = () => import('./sessions.ts');
  app.post(
    '/api/v1/chat/completions',
    lazyRoute(async () => (await import('./completions.ts')).chatCompletionsRoute(parts)),
  );
  app.get(
    '/ws/chat',
    lazyRoute(async () => (await import('./socket.ts')).chatSocketRoute(parts)),
  );
  app.post(
    '/ws/chat',
    lazyRoute(async () => (await import('./socket-turn.ts')).socketTurnRoute(parts)),
  );
  app.get(
    '/api/v1/chat/sessions',
    lazyRoute(async () => (await sessions()).listSessionsRoute(parts)),
  );
  app.get(
    '/api/v1/chat/sessions/:id',
    lazyRoute(async () => (await sessions()).readSessionRoute(parts)),
  );
  app.delete(
    '/api/v1/chat/sessions/:id',
    lazyRoute(async () => (await sessions()).removeSessionRoute(parts)),
  );
}
