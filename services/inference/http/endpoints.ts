/**
 * Every path of the service with its methods: for the front page, for requests that miss, and for the description of the API. Whoever
 * adds a route adds its line here and one to description/operations.ts, which the compiler asks for. Knows no route from inside, so that
 * it costs nothing at the start.
 */
import { type Endpoint, methodsAmong } from '@slipway/shared/http/endpoints.ts';

export const ENDPOINTS = [
  { method: 'GET', path: '/', purpose: 'this page' },
  { method: 'GET', path: '/ui', purpose: 'the playground: talk to the model in a browser, compare versions' },
  { method: 'GET', path: '/docs', purpose: 'every endpoint with its fields, to read' },
  { method: 'GET', path: '/openapi.json', purpose: 'the same for programs: OpenAPI 3.1' },
  { method: 'GET', path: '/health', purpose: 'status in one look' },
  { method: 'GET', path: '/healthz', purpose: 'live: the process answers' },
  { method: 'GET', path: '/readyz', purpose: 'ready: the model is loaded and requests are taken' },
  { method: 'GET', path: '/version', purpose: 'the version of the service' },
  { method: 'GET', path: '/model-info', purpose: 'what is served, how it was made and how exact it is' },
  { method: 'GET', path: '/metrics', purpose: 'Prometheus metrics' },
  {
    method: 'GET',
    path: '/api/v1/metrics',
    purpose: 'the same for people: levels, totals and the last five minutes',
  },
  { method: 'GET', path: '/api/v1/models', purpose: 'what the bucket has, and what is loaded of it' },
  { method: 'POST', path: '/models/load', purpose: 'load one more model: {"model": "NAME"}' },
  { method: 'POST', path: '/models/unload', purpose: 'unload a model and give its memory back: {"model": "NAME"}' },
  { method: 'POST', path: '/api/v1/models/load', purpose: 'the same as /models/load' },
  { method: 'POST', path: '/api/v1/models/unload', purpose: 'the same as /models/unload' },
  {
    method: 'POST',
    path: '/generate',
    purpose: 'continue a prompt: {"prompt": "Once upon a time", "max_new_tokens": 64, "stream": false}',
  },
  { method: 'POST', path: '/score', purpose: 'how surprising a text is: {"text": "Once upon a time", "top_k": 3}' },
  {
    method: 'POST',
    path: '/api/v1/chat/completions',
    purpose: 'answer a conversation: {"messages": [{"role": "user", "content": "Hello"}], "session_id": "new"}',
  },
  { method: 'GET', path: '/api/v1/chat/sessions', purpose: 'conversations that are kept' },
  { method: 'GET', path: '/api/v1/chat/sessions/{id}', purpose: 'one of them' },
  { method: 'DELETE', path: '/api/v1/chat/sessions/{id}', purpose: 'forget one of them' },
  { method: 'GET', path: '/ws/chat', purpose: 'the same conversations over a WebSocket' },
  { method: 'GET', path: '/v1/models', purpose: 'OpenAI: the models that are served' },
  { method: 'GET', path: '/v1/models/{model}', purpose: 'OpenAI: one of them' },
  { method: 'POST', path: '/v1/completions', purpose: 'OpenAI: continue prompts' },
  { method: 'POST', path: '/v1/chat/completions', purpose: 'OpenAI: answer a conversation' },
  { method: 'POST', path: '/v1/embeddings', purpose: 'OpenAI: not done here, which is what it says' },
  { method: 'POST', path: '/v1/files', purpose: 'OpenAI: send a file of requests, as multipart/form-data' },
  { method: 'GET', path: '/v1/files', purpose: 'OpenAI: the files that were sent or made' },
  { method: 'GET', path: '/v1/files/{id}', purpose: 'OpenAI: one of them' },
  { method: 'GET', path: '/v1/files/{id}/content', purpose: 'OpenAI: its bytes' },
  { method: 'DELETE', path: '/v1/files/{id}', purpose: 'OpenAI: delete one of them' },
  { method: 'POST', path: '/v1/batches', purpose: 'OpenAI: answer a file of requests when there is room' },
  { method: 'GET', path: '/v1/batches', purpose: 'OpenAI: the batches' },
  { method: 'GET', path: '/v1/batches/{id}', purpose: 'OpenAI: one of them, and how far it is' },
  { method: 'POST', path: '/v1/batches/{id}/cancel', purpose: 'OpenAI: end one of them' },
  { method: 'POST', path: '/tokenize', purpose: 'vLLM: the token ids of a text or a conversation' },
  { method: 'POST', path: '/detokenize', purpose: 'vLLM: the text of token ids' },
  { method: 'GET', path: '/tokenizer_info', purpose: 'vLLM: the tokenizer and the chat template' },
] as const satisfies readonly Endpoint[];

/** The methods that a path takes; none when there is no such path. */
export const methodsOf = methodsAmong(ENDPOINTS);
