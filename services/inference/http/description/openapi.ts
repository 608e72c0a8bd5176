/**
 * The description of the API: OpenAPI 3.1, made of the list of endpoints and of the schemas that requests are parsed by. Pure.
 */
import type { GenerateLimits } from '@slipway/shared/contracts/generate.ts';
import { OpenAiError } from '@slipway/shared/contracts/openai/answer-parts.ts';
import { z } from 'zod';
import packageJson from '../../package.json' with { type: 'json' };
import { ENDPOINTS, type Endpoint } from '../endpoints.ts';
import { isOpenAiPath } from '../openai/error-shape.ts';
import { policyOf } from '../path-policy.ts';
import { ErrorAnswer } from './answers.ts';
import { type JsonSchema, jsonSchemaOf } from './json-schema.ts';
import { type Operation, operations } from './operations.ts';

export interface OpenApi {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, DescribedOperation>>>>;
  readonly [section: string]: unknown;
}

export interface DescribedOperation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: JsonSchema }[];
  readonly requestBody?: {
    readonly required: true;
    readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>>;
  };
  readonly responses: Readonly<Record<string, unknown>>;
  readonly security?: readonly object[];
}

const DESCRIPTION =
  'Serves a language model from an ONNX version in a bucket. Bodies are JSON. Where keys are set up, one is asked for on every path that does not say otherwise.';

const PARAMETERS: Readonly<Record<string, string>> = {
  model: 'NAME, NAME@ALIAS or NAME@v001',
  id: 'as the service or its caller named it',
};

export function describeApi(limits: GenerateLimits): OpenApi {
  const known: Readonly<Record<string, Operation>> = operations(limits);
  const paths: Record<string, Record<string, DescribedOperation>> = {};
  for (const endpoint of ENDPOINTS) {
    const { method, path } = endpoint;
    const operation = known[`${method} ${path}`];
    if (operation === undefined) throw new Error(`${method} ${path} is not described`);
    paths[path] ??= {};
    paths[path][method.toLowerCase()] = describe(endpoint, operation);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Slipway inference', version: packageJson.version, description: DESCRIPTION },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }, { header: [] }, {}],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        header: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
      },
      schemas: { Error: jsonSchemaOf(ErrorAnswer, 'output'), OpenAiError: jsonSchemaOf(OpenAiError, 'output') },
    },
  };
}

function describe({ method, path, purpose }: Endpoint, operation: Operation): DescribedOperation {
  const { body, form, query = {} } = operation;
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string', minLength: 1, description: PARAMETERS[name] },
  }));
  const inQuery = Object.entries(query).map(([name, schema]) => ({ name, in: 'query', required: false, schema }));
  const parameters = [...inPath, ...inQuery];
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/\W+(\w?)/g, (_, letter: string) => letter.toUpperCase())}`,
    tags: [tagOf(path)],
    summary: purpose,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: body } } } }),
    ...(form === undefined
      ? {}
      : { requestBody: { required: true, content: { 'multipart/form-data': { schema: form } } } }),
    responses: responsesOf(path, operation),
    ...(policyOf(path).isOpen ? { security: [] } : {}),
  };
}

function tagOf(path: string): string {
  if (isOpenAiPath(path)) return path.startsWith('/v1/') ? 'OpenAI' : 'vLLM';
  if (path.includes('/chat')) return 'conversations';
  if (path.includes('/models/') || path.endsWith('/models')) return 'models';
  return path === '/generate' || path === '/score' ? 'generation' : 'service';
}

function responsesOf(
  path: string,
  { body, form, answer, event, others = {} }: Operation,
): Readonly<Record<string, unknown>> {
  const name = isOpenAiPath(path) ? 'OpenAiError' : 'Error';
  const error = (description: string) => ({
    description,
    content: json({ $ref: `#/components/schemas/${name}` }),
  });
  const wrong =
    name === 'OpenAiError'
      ? { 400: error('no JSON, or a field is wrong') }
      : { 400: error('the body is no JSON'), 422: error('a field is wrong; the message names it and its range') };
  return {
    ...(answer === undefined ? {} : { 200: { description: 'the answer', content: contentOf(answer, event) } }),
    ...(body === undefined && form === undefined ? {} : wrong),
    ...(policyOf(path).isOpen ? {} : { 401: error('the key is missing or wrong') }),
    ...Object.fromEntries(
      Object.entries(others).map(([status, schema]) => [
        status,
        { description: 'not now', content: json(jsonSchemaOf(schema, 'output')) },
      ]),
    ),
    default: error('any other error; docs/errors.md lists them'),
  };
}

function contentOf(answer: NonNullable<Operation['answer']>, event: z.ZodType | undefined): object {
  if (!(answer instanceof z.ZodType)) return { [answer]: { schema: { type: 'string' } } };
  const whole = json(jsonSchemaOf(answer, 'output'));
  if (event === undefined) return whole;
  const description = 'with "stream": true: server-sent events whose data is such an object';
  return { ...whole, 'text/event-stream': { schema: { ...jsonSchemaOf(event, 'output'), description } } };
}

function json(schema: JsonSchema): object {
  return { 'application/json': { schema } };
}
