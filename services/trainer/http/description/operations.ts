/**
 * What each endpoint takes and gives, for the description of the API. Whoever adds a line to ENDPOINTS adds one here: the compiler asks
 * for it.
 */
import { listOf } from '@slipway/shared/contracts/openai/file.ts';
import {
  FineTuningCheckpointList,
  FineTuningCreateRequest,
  FineTuningEventList,
  FineTuningJob,
  FineTuningJobList,
} from '@slipway/shared/contracts/openai/fine-tuning.ts';
import { Recipe } from '@slipway/shared/contracts/recipe.ts';
import { describeFiles } from '@slipway/shared/files-api/describe-files.ts';
import { jsonSchemaOf, jsonSchemaOfFields } from '@slipway/shared/http/description/json-schema.ts';
import { type KeyOf, type Operation, pageQuery } from '@slipway/shared/http/description/openapi.ts';
import { z } from 'zod';
import { RunState } from '../../runs/run-state.ts';
import { VersionSamples } from '../../runs/sample-run.ts';
import type { ENDPOINTS } from '../endpoints.ts';
import { EVALUATION_FIELDS } from '../evaluations/evaluation-request.ts';
import { QUESTIONS, type QuestionName } from '../questions/question.ts';
import { EvaluationAnswer } from '../routes/evaluations.ts';
import { questionAnswer } from '../routes/questions.ts';
import { TokenizerAnswer, TokenizerRemoved } from '../routes/tokenizers.ts';
import { RunAnswer } from '../runs/run-answer.ts';
import { TrainerEvent } from '../runs/trainer-event.ts';
import { TOKENIZER_FIELDS } from '../tokenizers/tokenizer-request.ts';

const text = z.string();
const FrontPage = z.object({
  name: text,
  description: text,
  endpoints: z.array(z.object({ method: text, url: text, purpose: text })),
});
const Health = z.object({ status: z.enum(['ok', 'draining']), working: z.boolean(), uptime_seconds: z.int() });
const Live = z.object({ status: z.literal('ok') });
const Ready = z.object({ ready: z.literal(true) });
const NotReady = z.object({ ready: z.literal(false), reason: text });
const Description = z.looseObject({ openapi: text, paths: z.record(text, z.unknown()) });

export function operations(): Readonly<Record<KeyOf<(typeof ENDPOINTS)[number]>, Operation>> {
  const train: Operation = {
    body: jsonSchemaOf(Recipe, 'input'),
    bodyTypes: ['application/json', 'application/yaml'],
    answer: RunAnswer,
  };
  const runs: Operation = {
    query: { state: { enum: RunState.options }, ...pageQuery(100, 20) },
    answer: listOf(RunAnswer),
  };
  const run: Operation = { answer: RunAnswer };
  const newest = { id: { type: 'string', description: 'which one; without it the newest' } };
  const question = (name: QuestionName): Operation => ({
    body: jsonSchemaOfFields(QUESTIONS[name].fields),
    status: 202,
    answer: questionAnswer(name),
  });
  const job: Operation = { answer: FineTuningJob };
  const jobPage = pageQuery(100, 20);
  return {
    'GET /': { answer: FrontPage },
    'GET /docs': { answer: 'text/html' },
    'GET /openapi.json': { answer: Description },
    'GET /health': { answer: Health },
    'GET /healthz': { answer: Live },
    'GET /readyz': { answer: Ready, others: { 503: NotReady } },
    'GET /metrics': { answer: 'text/plain' },
    'POST /runs/train': train,
    'GET /runs': runs,
    'GET /runs/{id}': run,
    'GET /runs/{id}/logs': {
      query: { tail: { type: 'integer', minimum: 1, maximum: 10_000, default: 200 } },
      answer: 'text/plain',
    },
    'GET /runs/{id}/logs/stream': { events: 'lines' },
    'GET /runs/{id}/events': { events: [TrainerEvent] },
    // A WebSocket has no place in OpenAPI.
    'GET /ws/training/{id}': { query: { after: { type: 'integer', description: 'the last event that was had' } } },
    'POST /runs/{id}/cancel': run,
    'POST /runs/{id}/pause': run,
    'POST /runs/{id}/resume': run,
    'GET /runs/{id}/samples': { answer: VersionSamples },
    'POST /runs/{id}/evaluate': {
      body: jsonSchemaOfFields(EVALUATION_FIELDS),
      status: 202,
      answer: EvaluationAnswer,
    },
    'GET /runs/{id}/eval': { query: newest, answer: EvaluationAnswer },
    'GET /runs/{id}/eval/report': { query: newest, answer: 'text/html' },
    'POST /runs/{id}/generate': question('generate'),
    'GET /runs/{id}/generate': { query: newest, answer: questionAnswer('generate') },
    'POST /runs/{id}/score': question('score'),
    'GET /runs/{id}/score': { query: newest, answer: questionAnswer('score') },
    'POST /tokenizers/train': { body: jsonSchemaOfFields(TOKENIZER_FIELDS), status: 202, answer: TokenizerAnswer },
    'GET /tokenizers': { query: pageQuery(100, 20), answer: listOf(TokenizerAnswer) },
    'GET /tokenizers/{id}': { answer: TokenizerAnswer },
    'GET /tokenizers/{id}/tokenizer.json': { answer: z.looseObject({ model: z.looseObject({ type: text }) }) },
    'DELETE /tokenizers/{id}': { answer: TokenizerRemoved },
    'POST /api/v1/training/jobs': train,
    'GET /api/v1/training/jobs': runs,
    'GET /api/v1/training/jobs/{id}': run,
    'POST /api/v1/training/jobs/{id}/cancel': run,
    'POST /api/v1/training/jobs/{id}/pause': run,
    'POST /api/v1/training/jobs/{id}/resume': run,
    ...describeFiles('fine-tune'),
    'POST /v1/fine_tuning/jobs': { body: jsonSchemaOf(FineTuningCreateRequest, 'input'), answer: FineTuningJob },
    'GET /v1/fine_tuning/jobs': { query: jobPage, answer: FineTuningJobList },
    'GET /v1/fine_tuning/jobs/{id}': job,
    'POST /v1/fine_tuning/jobs/{id}/cancel': job,
    'POST /v1/fine_tuning/jobs/{id}/pause': job,
    'POST /v1/fine_tuning/jobs/{id}/resume': job,
    'GET /v1/fine_tuning/jobs/{id}/events': { query: jobPage, answer: FineTuningEventList },
    'GET /v1/fine_tuning/jobs/{id}/checkpoints': { query: jobPage, answer: FineTuningCheckpointList },
  };
}
