/**
 * The paths of OpenAI's API, and those that vLLM adds to it. Their code is loaded when the first of them is asked for.
 */

import { lazyRoute } from '@slipway/shared/http/lazy-route.ts';
import type { RequestEnvironment } from '@slipway/shared/http/request-context.ts';
import type { Hono } from 'hono';
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
  const files = () => import('@slipway/shared/files-api/routes.ts');
  const { batches: kept, config, unsent } = parts;
  const open = async () => (await kept.get()).files;
  const fileParts = { open, purpose: 'batch', mostBytes: config.fileLimitBytes, unsent } as const;
  app.post(
    '/v1/files',
    lazyRoute(async () => (await files()).uploadFileRoute(fileParts)),
  );
  app.get(
    '/v1/files',
    lazyRoute(async () => (await files()).listFilesRoute(fileParts)),
  );
  app.get(
    '/v1/files/:file_id',
    lazyRoute(async () => (await files()).fileRoute(fileParts)),
  );
  app.get(
    '/v1/files/:file_id/content',
    lazyRoute(async () => (await files()).fileContentRoute(fileParts)),
  );
  app.delete(
    '/v1/files/:file_id',
    lazyRoute(async () => (await files()).deleteFileRoute(fileParts)),
  );
  const batches = () => import('./batches.ts');
  app.post(
    '/v1/batches',
    lazyRoute(async () => (await batches()).createBatchRoute(parts)),
  );
  app.get(
    '/v1/batches',
    lazyRoute(async () => (await batches()).listBatchesRoute(parts)),
  );
  app.get(
    '/v1/batches/:batch_id',
    lazyRoute(async () => (await batches()).batchRoute(parts)),
  );
  app.post(
    '/v1/batches/:batch_id/cancel',
    lazyRoute(async () => (await batches()).cancelBatchRoute(parts)),
  );
}
