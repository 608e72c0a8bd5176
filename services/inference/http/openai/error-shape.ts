/**
 * Which paths are OpenAI's or vLLM's, and answer their errors in OpenAI's shape.
 */
import { type ErrorShape, OWN_SHAPE } from '@slipway/shared/http/error-response.ts';
import { OPENAI_SHAPE } from '@slipway/shared/http/openai-error.ts';

const OTHER_PATHS = new Set(['/tokenize', '/detokenize', '/tokenizer_info']);

export function errorShapeOf(path: string): ErrorShape {
  return isOpenAiPath(path) ? OPENAI_SHAPE : OWN_SHAPE;
}

export function isOpenAiPath(path: string): boolean {
  return path === '/v1' || path.startsWith('/v1/') || OTHER_PATHS.has(path);
}
