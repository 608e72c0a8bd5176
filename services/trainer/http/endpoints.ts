/**
 * Every path of the trainer with its methods. Whoever adds a route adds its line here and one to description/operations.ts, which the
 * compiler asks for.
 */
import { type Endpoint, methodsAmong } from '@slipway/shared/http/endpoints.ts';

export const ENDPOINTS = [
  { method: 'GET', path: '/', purpose: 'this page' },
  { method: 'GET', path: '/docs', purpose: 'every endpoint with its fields, to read' },
  { method: 'GET', path: '/openapi.json', purpose: 'the same for programs: OpenAPI 3.1' },
  { method: 'GET', path: '/health', purpose: 'status in one look' },
  { method: 'GET', path: '/healthz', purpose: 'live: the process answers' },
  { method: 'GET', path: '/readyz', purpose: 'ready: the queue answers and requests are taken' },
  { method: 'GET', path: '/metrics', purpose: 'Prometheus metrics' },
  { method: 'POST', path: '/runs/train', purpose: 'train by a recipe, as JSON or YAML' },
  { method: 'GET', path: '/runs', purpose: 'the runs, newest first' },
  { method: 'GET', path: '/runs/{id}', purpose: 'one of them: how far it is, and when it will be done' },
  { method: 'GET', path: '/runs/{id}/logs', purpose: 'the last lines that its kernel printed' },
  { method: 'GET', path: '/runs/{id}/logs/stream', purpose: 'those lines as they come: server-sent events' },
  { method: 'GET', path: '/runs/{id}/events', purpose: 'what happens to it: server-sent events' },
  { method: 'GET', path: '/ws/training/{id}', purpose: 'those events over a WebSocket' },
  { method: 'POST', path: '/runs/{id}/cancel', purpose: 'end it' },
  { method: 'POST', path: '/runs/{id}/pause', purpose: 'let it wait, with a checkpoint' },
  { method: 'POST', path: '/runs/{id}/resume', purpose: 'go on with a paused or failed one' },
  { method: 'GET', path: '/runs/{id}/samples', purpose: "what its versions answer to the recipe's prompts" },
  { method: 'POST', path: '/runs/{id}/evaluate', purpose: 'measure its version on data, or against another' },
  { method: 'GET', path: '/runs/{id}/eval', purpose: 'how the newest evaluation of it stands, and what it found' },
  { method: 'GET', path: '/runs/{id}/eval/report', purpose: 'the same as a page' },
  { method: 'POST', path: '/runs/{id}/generate', purpose: 'let its version go on from a prompt' },
  { method: 'GET', path: '/runs/{id}/generate', purpose: 'how the newest of those stands, and the answer' },
  { method: 'POST', path: '/runs/{id}/score', purpose: 'ask its version how likely texts are' },
  { method: 'GET', path: '/runs/{id}/score', purpose: 'how the newest of those stands, and the answer' },
  { method: 'POST', path: '/tokenizers/train', purpose: 'train a tokenizer on text' },
  { method: 'GET', path: '/tokenizers', purpose: 'those that were trained, newest first' },
  { method: 'GET', path: '/tokenizers/{id}', purpose: 'one of them: how it stands, and its statistics' },
  { method: 'GET', path: '/tokenizers/{id}/tokenizer.json', purpose: 'its file, as Hugging Face has them' },
  { method: 'DELETE', path: '/tokenizers/{id}', purpose: 'remove one of them' },
  { method: 'POST', path: '/api/v1/training/jobs', purpose: 'the same as /runs/train' },
  { method: 'GET', path: '/api/v1/training/jobs', purpose: 'the same as /runs' },
  { method: 'GET', path: '/api/v1/training/jobs/{id}', purpose: 'the same as /runs/{id}' },
  { method: 'POST', path: '/api/v1/training/jobs/{id}/cancel', purpose: 'the same as /runs/{id}/cancel' },
  { method: 'POST', path: '/api/v1/training/jobs/{id}/pause', purpose: 'the same as /runs/{id}/pause' },
  { method: 'POST', path: '/api/v1/training/jobs/{id}/resume', purpose: 'the same as /runs/{id}/resume' },
  { method: 'POST', path: '/v1/files', purpose: 'OpenAI: send a file to train on, as multipart/form-data' },
  { method: 'GET', path: '/v1/files', purpose: 'OpenAI: the files that were sent' },
  { method: 'GET', path: '/v1/files/{id}', purpose: 'OpenAI: one of them' },
  { method: 'GET', path: '/v1/files/{id}/content', purpose: 'OpenAI: its bytes' },
  { method: 'DELETE', path: '/v1/files/{id}', purpose: 'OpenAI: delete one of them' },
  { method: 'POST', path: '/v1/fine_tuning/jobs', purpose: 'OpenAI: tune a model on a file' },
  { method: 'GET', path: '/v1/fine_tuning/jobs', purpose: 'OpenAI: the tunings, newest first' },
  { method: 'GET', path: '/v1/fine_tuning/jobs/{id}', purpose: 'OpenAI: one of them' },
  { method: 'POST', path: '/v1/fine_tuning/jobs/{id}/cancel', purpose: 'OpenAI: end it' },
  { method: 'POST', path: '/v1/fine_tuning/jobs/{id}/pause', purpose: 'OpenAI: let it wait' },
  { method: 'POST', path: '/v1/fine_tuning/jobs/{id}/resume', purpose: 'OpenAI: go on with it' },
  { method: 'GET', path: '/v1/fine_tuning/jobs/{id}/events', purpose: 'OpenAI: what happened to it, newest first' },
  { method: 'GET', path: '/v1/fine_tuning/jobs/{id}/checkpoints', purpose: 'OpenAI: its checkpoints, newest first' },
] as const satisfies readonly Endpoint[];

/** The methods that a path takes; none when there is no such path. */
export const methodsOf = methodsAmong(ENDPOINTS);

export function isOpenAiPath(path: string): boolean {
  return path.startsWith('/v1/');
}
