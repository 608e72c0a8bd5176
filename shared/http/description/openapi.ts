/**
 * The description of the API: OpenAPI 3.1, made of the list of endpoints and of the schemas that requests are parsed by. Pure.
 */
import { z } from 'zod';
import { OpenAiError } from '../../contracts/openai/answer-parts.ts';
import type { Endpoint } from '../endpoints.ts';
import type { ErrorBody } from '../error-response.ts';
import { type JsonSchema, jsonSchemaOf } from './json-schema.ts';

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

export interface Operation {
  readonly body?: JsonSchema;
  /** When it is not JSON alone. */
  readonly bodyTypes?: readonly string[];
  /** A body that is multipart/form-data. */
  readonly form?: JsonSchema;
  /** Parameters after the question mark. */
  readonly query?: Readonly<Record<string, JsonSchema>>;
  /** Of the answer; 200 unless it says otherwise. */
  readonly status?: 200 | 202;
  /** JSON when it is a schema; otherwise the media type. Absent: nothing but errors. */
  readonly answer?: z.ZodType | 'text/html' | 'text/plain' | 'application/octet-stream';
  /**
   * Server-sent events: of an answer with `"stream": true`, or, without `answer`, of every answer. What their data may be, as JSON; or
   * lines of text.
   */
  readonly events?: readonly z.ZodType[] | 'lines';
  /** Answers with other statuses than 200 that are no errors. */
  readonly others?: Readonly<Record<number, z.ZodType>>;
}

/** Of a list that is given by pages: `most` on one at most. */
export function pageQuery(most: number, fallback: number) {
  return {
    after: { type: 'string', description: 'the last one of the page before' },
    limit: { type: 'integer', minimum: 1, maximum: most, default: fallback },
  } as const satisfies Operation['query'];
}

/** `GET /health` of a list of endpoints: who describes them describes each. */
export type KeyOf<One> = One extends { readonly method: infer Method; readonly path: infer Path }
  ? `${Method & string} ${Path & string}`
  : never;

export interface ApiParts {
  readonly title: string;
  readonly version: string;
  readonly description: string;
  readonly endpoints: readonly Endpoint[];
  readonly operations: Readonly<Record<string, Operation>>;
  /** What the names in paths stand for. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly isOpen: (path: string) => boolean;
  /** Errors of these are told as OpenAI tells them. */
  readonly isOpenAiPath: (path: string) => boolean;
  readonly tagOf: (path: string) => string;
}

const ErrorAnswer = z.object({
  error: z.object({ code: z.string(), message: z.string(), request_id: z.string() }),
}) satisfies z.ZodType<ErrorBody>;

export function describeApi(parts: ApiParts): OpenApi {
  const paths: Record<string, Record<string, DescribedOperation>> = {};
  for (const endpoint of parts.endpoints) {
    const { method, path } = endpoint;
    const operation = parts.operations[`${method} ${path}`];
    if (operation === undefined) throw new Error(`${method} ${path} is not described`);
    paths[path] ??= {};
    paths[path][method.toLowerCase()] = describe(endpoint, operation, parts);
  }
  return {
    openapi: '3.1.0',
    info: { title: parts.title, version: parts.version, description: parts.description },
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

function describe(
  { method, path, purpose }: Endpoint,
  operation: Operation,
  { parameters: known, isOpen, isOpenAiPath, tagOf }: ApiParts,
): DescribedOperation {
  const { body, bodyTypes = ['application/json'], form, query = {} } = operation;
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string', minLength: 1, description: known[name] },
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
      : {
          requestBody: {
            required: true,
            content: Object.fromEntries(bodyTypes.map((type) => [type, { schema: body }])),
          },
        }),
    ...(form === undefined
      ? {}
      : { requestBody: { required: true, content: { 'multipart/form-data': { schema: form } } } }),
    responses: responsesOf(operation, { isOpen: isOpen(path), isOpenAi: isOpenAiPath(path) }),
    ...(isOpen(path) ? { security: [] } : {}),
  };
}

function responsesOf(
  { body, form, status = 200, answer, events, others = {} }: Operation,
  { isOpen, isOpenAi }: { readonly isOpen: boolean; readonly isOpenAi: boolean },
): Readonly<Record<string, unknown>> {
  const name = isOpenAi ? 'OpenAiError' : 'Error';
  const errorShape = { $ref: `#/components/schemas/${name}` };
  const content = contentOf(answer, events, errorShape, isOpenAi);
  const error = (description: string) => ({ description, content: json(errorShape) });
  const wrong =
    name === 'OpenAiError'
      ? { 400: error('no JSON, or a field is wrong') }
      : { 400: error('the body is no JSON'), 422: error('a field is wrong; the message names it and its range') };
  return {
    ...(content === undefined ? {} : { [status]: { description: 'the answer', content } }),
    ...(body === undefined && form === undefined ? {} : wrong),
    ...(isOpen ? {} : { 401: error('the key is missing or wrong') }),
    ...Object.fromEntries(
      Object.entries(others).map(([status, schema]) => [
        status,
        { description: 'not now', content: json(jsonSchemaOf(schema, 'output')) },
      ]),
    ),
    default: error('any other error; docs/errors.md lists them'),
  };
}

function contentOf(
  answer: Operation['answer'],
  events: Operation['events'],
  error: JsonSchema,
  isOpenAi: boolean,
): object | undefined {
  if (answer !== undefined && !(answer instanceof z.ZodType)) return { [answer]: { schema: { type: 'string' } } };
  const whole = answer === undefined ? {} : json(jsonSchemaOf(answer, 'output'));
  if (events === undefined) return answer === undefined ? undefined : whole;
  const description = `${answer === undefined ? '' : 'with "stream": true: '}server-sent events`;
  // Only what was asked for can fail on the way; a feed just ends.
  const data = dataOf(events, answer === undefined ? [] : [error]);
  const properties = {
    event: { type: 'string' },
    id: { type: 'string' },
    data: isOpenAi ? { anyOf: [data, { const: '[DONE]' }] } : data,
  };
  return { ...whole, 'text/event-stream': { schema: { type: 'object', description, required: ['data'], properties } } };
}

function dataOf(events: NonNullable<Operation['events']>, others: readonly JsonSchema[]): JsonSchema {
  if (events === 'lines') return { type: 'string' };
  const anyOf = [...events.map((event) => jsonSchemaOf(event, 'output')), ...others];
  return { type: 'string', contentMediaType: 'application/json', contentSchema: { anyOf } };
}

function json(schema: JsonSchema): object {
  return { 'application/json': { schema } };
}
