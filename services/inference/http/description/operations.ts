/**
 * What each endpoint takes and gives, for the description of the API. Whoever adds a line to ENDPOINTS adds one here: the compiler asks
 * for it. Loaded when the description is first asked for.
 */
import { Generated, GeneratedDelta, Score } from '@slipway/shared/contracts/answer-schemas.ts';
import { chatFields } from '@slipway/shared/contracts/chat.ts';
import { type GenerateLimits, generateFields } from '@slipway/shared/contracts/generate.ts';
import { LoadAnswer, MODEL_REQUEST_FIELDS, ModelsAnswer, UnloadAnswer } from '@slipway/shared/contracts/models-api.ts';
import { BatchCreateRequest, BatchList, BatchObject } from '@slipway/shared/contracts/openai/batch.ts';
import { ChatCompletion, ChatCompletionChunk, ChatRequest } from '@slipway/shared/contracts/openai/chat.ts';
import { Completion, CompletionRequest } from '@slipway/shared/contracts/openai/completion.ts';
import { ModelEntry, ModelList } from '@slipway/shared/contracts/openai/model.ts';
import {
  DetokenizeAnswer,
  DetokenizeRequest,
  TokenizeAnswer,
  TokenizeRequest,
  TokenizerInfo,
} from '@slipway/shared/contracts/openai/tokenize.ts';
import { SCORE_FIELDS } from '@slipway/shared/contracts/score.ts';
import { describeFiles } from '@slipway/shared/files-api/describe-files.ts';
import { type JsonSchema, jsonSchemaOf, jsonSchemaOfFields } from '@slipway/shared/http/description/json-schema.ts';
import { type KeyOf, type Operation, pageQuery } from '@slipway/shared/http/description/openapi.ts';
import type { z } from 'zod';
import type { ENDPOINTS } from '../endpoints.ts';
import * as answers from './answers.ts';

export function operations(limits: GenerateLimits): Readonly<Record<KeyOf<(typeof ENDPOINTS)[number]>, Operation>> {
  const openAi = (schema: z.ZodType): JsonSchema => jsonSchemaOf(schema, 'input');
  const modelName = jsonSchemaOfFields(MODEL_REQUEST_FIELDS);
  const owner = { owner: { type: 'string', description: 'whose, for keys with the scope admin' } };
  const limit = { limit: { type: 'integer', minimum: 1, maximum: 10_000, default: 100 } };
  return {
    'GET /': { answer: answers.FrontPage },
    'GET /ui': { answer: 'text/html' },
    'GET /docs': { answer: 'text/html' },
    'GET /openapi.json': { answer: answers.Description },
    'GET /health': { answer: answers.Health },
    'GET /healthz': { answer: answers.Live },
    'GET /readyz': { answer: answers.Ready, others: { 503: answers.NotReady } },
    'GET /version': { answer: answers.Version },
    'GET /model-info': { answer: answers.ModelInfo },
    'GET /metrics': { answer: 'text/plain' },
    'GET /api/v1/metrics': { answer: answers.MetricsSummary },
    'GET /api/v1/models': { answer: ModelsAnswer },
    'POST /models/load': { body: modelName, answer: LoadAnswer },
    'POST /models/unload': { body: modelName, answer: UnloadAnswer },
    'POST /api/v1/models/load': { body: modelName, answer: LoadAnswer },
    'POST /api/v1/models/unload': { body: modelName, answer: UnloadAnswer },
    'POST /generate': {
      body: jsonSchemaOfFields(generateFields(limits)),
      answer: Generated,
      events: [GeneratedDelta, Generated],
    },
    'POST /score': { body: jsonSchemaOfFields(SCORE_FIELDS), answer: Score },
    'POST /api/v1/chat/completions': {
      body: jsonSchemaOfFields(chatFields(limits)),
      answer: answers.Turn,
      events: [answers.TurnDelta, answers.Turn],
    },
    'GET /api/v1/chat/sessions': { query: { ...owner, ...limit }, answer: answers.Sessions },
    'GET /api/v1/chat/sessions/{id}': { query: owner, answer: answers.SessionContent },
    'DELETE /api/v1/chat/sessions/{id}': { query: owner, answer: answers.SessionRemoved },
    // A WebSocket has no place in OpenAPI.
    'GET /ws/chat': {},
    'GET /v1/models': { answer: ModelList },
    'GET /v1/models/{model}': { answer: ModelEntry },
    'POST /v1/completions': { body: openAi(CompletionRequest), answer: Completion, events: [Completion] },
    'POST /v1/chat/completions': { body: openAi(ChatRequest), answer: ChatCompletion, events: [ChatCompletionChunk] },
    'POST /v1/embeddings': { body: { type: 'object' } },
    ...describeFiles('batch'),
    'POST /v1/batches': { body: openAi(BatchCreateRequest), answer: BatchObject },
    'GET /v1/batches': { query: pageQuery(100, 20), answer: BatchList },
    'GET /v1/batches/{id}': { answer: BatchObject },
    'POST /v1/batches/{id}/cancel': { answer: BatchObject },
    'POST /tokenize': { body: openAi(TokenizeRequest), answer: TokenizeAnswer },
    'POST /detokenize': { body: openAi(DetokenizeRequest), answer: DetokenizeAnswer },
    'GET /tokenizer_info': { answer: TokenizerInfo },
  };
}
