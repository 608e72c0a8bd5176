/**
 * The description of this service's API. Loaded when it is first asked for.
 */
import type { GenerateLimits } from '@slipway/shared/contracts/generate.ts';
import { describeApi as describe, type OpenApi } from '@slipway/shared/http/description/openapi.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { ENDPOINTS } from '../endpoints.ts';
import { isOpenAiPath } from '../openai/error-shape.ts';
import { policyOf } from '../path-policy.ts';
import { operations } from './operations.ts';

const DESCRIPTION =
  'Serves a language model from an ONNX version in a bucket. Bodies are JSON. Where keys are set up, one is asked for on every path that does not say otherwise.';

export function describeApi(limits: GenerateLimits): OpenApi {
  return describe({
    title: 'Slipway inference',
    version: packageJson.version,
    description: DESCRIPTION,
    endpoints: ENDPOINTS,
    operations: operations(limits),
    parameters: { model: 'NAME, NAME@ALIAS or NAME@v001', id: 'as the service or its caller named it' },
    isOpen: (path) => policyOf(path).isOpen,
    isOpenAiPath,
    tagOf,
  });
}

function tagOf(path: string): string {
  if (isOpenAiPath(path)) return path.startsWith('/v1/') ? 'OpenAI' : 'vLLM';
  if (path.includes('/chat')) return 'conversations';
  if (path.includes('/models/') || path.endsWith('/models')) return 'models';
  return path === '/generate' || path === '/score' ? 'generation' : 'service';
}
