/**
 * The paths of OpenAI's API, and those that vLLM adds to it. Their code is loaded when the first of them is asked for.
 */
import type { RequestEnvironment } from '@slipway/shared/http/request-context.ts';
import type { Hono } from 'hono';
import { lazyRoute } from '../../lazy-route.ts';
import type { ServiceParts } from '../../service-parts.ts';
import { embeddingsRoute } from './embeddings.ts';
import { modelListRoute, modelRoute } from './models.ts';

export function routeOpenAi(app: Hono<RequestEnvironment>, parts: ServiceParts): void {
  app.get('/v1/models', modelListRoute(parts));
  app.get('/v1/models/:model', modelRoute(parts));
  app.post(
    '/v1/completions',
    lazyRoute(async () => (await import('./completions.ts')).completionsRoute(parts)),
  );
  app.post(
    '/v1/chat/completions',
    lazyRoute(async () => (await import('./chat-completions.ts')).chatCompletionsRoute(parts)),
  );
  app.post('/v1/embeddings', embeddingsRoute());
  const tokens = () => import('./tokenize.ts');
  app.post(
    '/tokenize',
    lazyRoute(async () => (await tokens()).tokenizeRoute(parts)),
  );
  app.post(
    '/detokenize',
    lazyRoute(async () => (await tokens()).detokenizeRoute(parts)),
  );
  app.get(
    '/tokenizer_info',
    lazyRoute(async () => (await tokens()).tokenizerInfoRoute(parts)),
  );
}
