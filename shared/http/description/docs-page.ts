/**
 * The description of the API as a page to read, without scripts and without anything from elsewhere. Pure. Knows no endpoint.
 */
import { html } from 'hono/html';
import type { JsonSchema } from './json-schema.ts';
import type { DescribedOperation, OpenApi } from './openapi.ts';

export function docsPage(api: OpenApi) {
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const byTag = Map.groupBy(operations, ({ operation }) => operation.tags[0] ?? '');
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${api.info.title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<h1>${api.info.title} ${api.info.version}</h1>
<p>${api.info.description} The same for programs: <a href="/openapi.json">openapi.json</a>.</p>
${[...byTag].map(
  ([tag, described]) => html`<h2>${tag}</h2>
${described.map(({ path, method, operation }) => section(method, path, operation))}`,
)}
</body>
</html>
`;
}

function section(
  method: string,
  path: string,
  { summary, parameters, requestBody, responses, security }: DescribedOperation,
) {
  const fields = Object.values(requestBody?.content ?? {})[0]?.schema;
  return html`<details>
<summary><code><b>${method}</b> ${path}</code> ${summary}</summary>
${security === undefined ? '' : html`<p>Needs no key.</p>`}
${parameters === undefined ? '' : html`<h3>Parameters</h3>${table(propertiesOf(parameters))}`}
${fields === undefined ? '' : html`<h3>Body</h3>${table(rowsOf(fields))}`}
${Object.entries(responses).map(([status, response]) => html`<h3>${status}</h3>${answer(response)}`)}
</details>`;
}

function answer(response: unknown) {
  const { description, content = {} } = Object(response);
  return html`<p>${description}</p>${Object.entries<{ schema: JsonSchema }>(content).map(
    ([type, { schema }]) => html`<p><code>${type}</code></p><pre>${shapeOf(schema)}</pre>`,
  )}`;
}

interface Row {
  readonly name: string;
  readonly schema: JsonSchema;
  readonly isRequired: boolean;
}

function propertiesOf(parameters: NonNullable<DescribedOperation['parameters']>): Row[] {
  return parameters.map(({ name, in: where, schema }) => ({ name, schema, isRequired: where === 'path' }));
}

function rowsOf({ properties = {}, required = [] }: JsonSchema): Row[] {
  const names: readonly unknown[] = Array.isArray(required) ? required : [];
  return Object.entries(Object(properties)).map(([name, schema]) => ({
    name,
    schema: Object(schema),
    isRequired: names.includes(name),
  }));
}

function table(rows: readonly Row[]) {
  return html`<table>
<tr><th>field</th><th>what</th><th>when not given</th></tr>
${rows.map(
  ({ name, schema, isRequired }) => html`<tr><td><code>${name}</code></td>
<td>${schema['description'] ?? shapeOf(schema)}</td>
<td>${isRequired ? 'required' : 'default' in schema ? JSON.stringify(schema['default']) : ''}</td></tr>`,
)}
</table>`;
}

/** In the manner of TypeScript. */
function shapeOf(schema: JsonSchema, indent = ''): string {
  const { type, enum: values, const: value, anyOf, oneOf, items, properties, additionalProperties, $ref } = schema;
  if ('contentSchema' in schema) return shapeOf(Object(schema['contentSchema']), indent);
  if (typeof $ref === 'string') return $ref.replace(/^.*\//, '');
  if (value !== undefined) return JSON.stringify(value);
  if (Array.isArray(values)) return values.map((one) => JSON.stringify(one)).join(' | ');
  const options = anyOf ?? oneOf;
  if (Array.isArray(options)) return options.map((one) => shapeOf(Object(one), indent)).join(' | ');
  if (type === 'array') return `[${shapeOf(Object(items), indent)}, ...]`;
  if (type !== 'object') return `${type ?? 'anything'}${rangeOf(schema)}`;
  const inner = `${indent}  `;
  const lines = Object.entries(Object(properties)).map(
    ([name, one]) => `${inner}${name}: ${shapeOf(Object(one), inner)}\n`,
  );
  if (lines.length > 0) return `{\n${lines.join('')}${indent}}`;
  const isMap = typeof additionalProperties === 'object' && additionalProperties !== null;
  return isMap ? `{[name]: ${shapeOf(Object(additionalProperties), indent)}}` : 'object';
}

function rangeOf({ minimum, maximum }: JsonSchema): string {
  const told = (bound: unknown) =>
    typeof bound === 'number' && Math.abs(bound) < Number.MAX_SAFE_INTEGER ? bound : '';
  const range = `${told(minimum)}..${told(maximum)}`;
  return range === '..' ? '' : ` ${range}`;
}

export const STYLE = `body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
summary { cursor: pointer; padding: 0.25rem 0; }
details { border-bottom: 1px solid #8884; }
h3 { margin: 1rem 0 0.25rem; font-size: 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.2rem 0.75rem 0.2rem 0; border-bottom: 1px solid #8882; }
td { white-space: pre-wrap; overflow-wrap: anywhere; }
td:first-child { white-space: nowrap; }
pre { overflow-x: auto; padding: 0.5rem; background: #8881; }
`;
