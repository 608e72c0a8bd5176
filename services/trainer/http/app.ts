/**
 * The trainer's paths and what surrounds them, put together from their parts. No logic of its own.
 */
import type { StoredFile } from '@slipway/shared/files/file-store.ts';
import {
  deleteFileRoute,
  fileContentRoute,
  fileRoute,
  listFilesRoute,
  uploadFileRoute,
} from '@slipway/shared/files-api/routes.ts';
import { describedRoutes } from '@slipway/shared/http/description/routes.ts';
import { OWN_SHAPE } from '@slipway/shared/http/error-response.ts';
import { OPENAI_SHAPE } from '@slipway/shared/http/openai-error.ts';
import type { RequestEnvironment } from '@slipway/shared/http/request-context.ts';
import { surround } from '@slipway/shared/http/surround.ts';
import { Hono } from 'hono';
import { runWaitingFor } from '../runs/left-by-callers.ts';
import { isOpenAiPath, methodsOf } from './endpoints.ts';
import { policyOf } from './path-policy.ts';
import { evaluateRoute, evaluationRoute, reportRoute } from './routes/evaluations.ts';
import {
  askJobRoute,
  createJobRoute,
  jobCheckpointsRoute,
  jobEventsRoute,
  jobRoute,
  listJobsRoute,
  resumeJobRoute,
} from './routes/fine-tuning.ts';
import { answerRoute, questionRoute } from './routes/questions.ts';
import { FeedRoutes } from './routes/run-feeds.ts';
import { askRoute, listRunsRoute, logsRoute, resumeRoute, runRoute, samplesRoute, trainRoute } from './routes/runs.ts';
import { healthRoute, livenessRoute, metricsRoute, readinessRoute, rootRoute } from './routes/service.ts';
import {
  listTokenizersRoute,
  removeTokenizerRoute,
  tokenizerFileRoute,
  tokenizerRoute,
  trainTokenizerRoute,
} from './routes/tokenizers.ts';
import { trainingSocketRoute } from './routes/training-socket.ts';
import type { ServiceParts } from './service-parts.ts';

export function createApp(parts: ServiceParts): Hono<RequestEnvironment> {
  const app = new Hono<RequestEnvironment>();
  surround(app, {
    config: parts.config,
    log: parts.log,
    keys: parts.keys,
    scope: 'train',
    policyOf,
    errorShapeOf: (path) => (isOpenAiPath(path) ? OPENAI_SHAPE : OWN_SHAPE),
    methodsOf,
    isDraining: () => parts.inFlight.draining,
    onBegun: () => ({}),
    onFinished: (request) => parts.metrics.http.record(request),
  });
  app.use(async (context, next) => {
    if (policyOf(context.req.path).isOpen) return next();
    // A feed is one only until it begins: it is ended when the service leaves.
    const leave = parts.inFlight.enter();
    try {
      await next();
    } finally {
      leave();
    }
  });
  app.get('/', rootRoute());
  app.get('/health', healthRoute(parts));
  app.get('/healthz', livenessRoute());
  app.get('/readyz', readinessRoute(parts));
  app.get('/metrics', metricsRoute(parts));
  describedRoutes(app, async () => (await import('./description/describe-api.ts')).describeTrainer());
  routeRuns(app, parts);
  routeTokenizers(app, parts);
  routeOpenAi(app, parts);
  return app;
}

function routeRuns(app: Hono<RequestEnvironment>, parts: ServiceParts): void {
  const feeds = new FeedRoutes(parts);
  app.on('POST', ['/runs/train', '/api/v1/training/jobs'], trainRoute(parts));
  app.on('GET', ['/runs', '/api/v1/training/jobs'], listRunsRoute(parts));
  app.on('GET', ['/runs/:id', '/api/v1/training/jobs/:id'], runRoute(parts));
  app.get('/runs/:id/logs', logsRoute(parts));
  app.get('/runs/:id/logs/stream', feeds.logs());
  app.get('/runs/:id/events', feeds.events());
  app.get('/ws/training/:id', trainingSocketRoute(parts));
  app.on('POST', ['/runs/:id/cancel', '/api/v1/training/jobs/:id/cancel'], askRoute(parts, 'cancelled'));
  app.on('POST', ['/runs/:id/pause', '/api/v1/training/jobs/:id/pause'], askRoute(parts, 'paused'));
  app.on('POST', ['/runs/:id/resume', '/api/v1/training/jobs/:id/resume'], resumeRoute(parts));
  app.get('/runs/:id/samples', samplesRoute(parts));
  app.post('/runs/:id/evaluate', evaluateRoute(parts));
  app.get('/runs/:id/eval', evaluationRoute(parts));
  app.get('/runs/:id/eval/report', reportRoute(parts));
  app.post('/runs/:id/generate', questionRoute(parts, 'generate'));
  app.get('/runs/:id/generate', answerRoute(parts, 'generate'));
  app.post('/runs/:id/score', questionRoute(parts, 'score'));
  app.get('/runs/:id/score', answerRoute(parts, 'score'));
}

function routeTokenizers(app: Hono<RequestEnvironment>, parts: ServiceParts): void {
  app.post('/tokenizers/train', trainTokenizerRoute(parts));
  app.get('/tokenizers', listTokenizersRoute(parts));
  app.get('/tokenizers/:id', tokenizerRoute(parts));
  app.get('/tokenizers/:id/tokenizer.json', tokenizerFileRoute(parts));
  app.delete('/tokenizers/:id', removeTokenizerRoute(parts));
}

function routeOpenAi(app: Hono<RequestEnvironment>, parts: ServiceParts): void {
  const { config, files, unsent } = parts;
  const fileParts = {
    open: async () => files,
    purpose: 'fine-tune',
    mostBytes: config.fileLimitBytes,
    unsent,
    neededBy: ({ path }: StoredFile) => runWaitingFor(path, config.dataFolder),
  } as const;
  app.post('/v1/files', uploadFileRoute(fileParts));
  app.get('/v1/files', listFilesRoute(fileParts));
  app.get('/v1/files/:file_id', fileRoute(fileParts));
  app.get('/v1/files/:file_id/content', fileContentRoute(fileParts));
  app.delete('/v1/files/:file_id', deleteFileRoute(fileParts));
  const jobs = '/v1/fine_tuning/jobs';
  app.post(jobs, createJobRoute(parts));
  app.get(jobs, listJobsRoute(parts));
  app.get(`${jobs}/:id`, jobRoute(parts));
  app.post(`${jobs}/:id/cancel`, askJobRoute(parts, 'cancelled'));
  app.post(`${jobs}/:id/pause`, askJobRoute(parts, 'paused'));
  app.post(`${jobs}/:id/resume`, resumeJobRoute(parts));
  app.get(`${jobs}/:id/events`, jobEventsRoute(parts));
  app.get(`${jobs}/:id/checkpoints`, jobCheckpointsRoute(parts));
}
