/**
 * The description of the trainer's API. Loaded when it is first asked for.
 */
import { describeApi, type OpenApi } from '@slipway/shared/http/description/openapi.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { ENDPOINTS, isOpenAiPath } from '../endpoints.ts';
import { policyOf } from '../path-policy.ts';
import { operations } from './operations.ts';

const DESCRIPTION =
  'Trains language models by recipes, and publishes them as proven versions. Where keys are set up, one with the scope train is asked for on every path that does not say otherwise.';

export function describeTrainer(): OpenApi {
  return describeApi({
    title: 'Slipway trainer',
    version: packageJson.version,
    description: DESCRIPTION,
    endpoints: ENDPOINTS,
    operations: operations(),
    parameters: { id: 'as the service named it' },
    isOpen: (path) => policyOf(path).isOpen,
    isOpenAiPath,
    tagOf: (path) => (isOpenAiPath(path) ? 'OpenAI' : /^\/(runs|api)/.test(path) ? 'runs' : 'service'),
  });
}
