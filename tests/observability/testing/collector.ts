/**
 * An OpenTelemetry collector as far as traces go: takes OTLP/JSON at /v1/traces, strictly (https://opentelemetry.io/docs/specs/otlp/), and
 * keeps the spans.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';

const Value = z.union([
  z.strictObject({ stringValue: z.string() }),
  z.strictObject({ intValue: z.union([z.number().int(), z.string().regex(/^-?\d+$/)]) }),
  z.strictObject({ doubleValue: z.number() }),
  z.strictObject({ boolValue: z.boolean() }),
  z.strictObject({ arrayValue: z.object({ values: z.array(z.strictObject({ stringValue: z.string() })) }) }),
]);
const Attributes = z
  .array(z.strictObject({ key: z.string(), value: Value }))
  .transform((entries) => Object.fromEntries(entries.map(({ key, value }) => [key, plain(value)])));
const Nanoseconds = z
  .string()
  .regex(/^\d{19}$/)
  .transform(BigInt);

const SpanData = z.object({
  traceId: z.string().regex(/^[0-9a-f]{32}$/),
  spanId: z.string().regex(/^[0-9a-f]{16}$/),
  parentSpanId: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .optional(),
  name: z.string(),
  /** 1 internal, 2 server. */
  kind: z.number().int().min(1).max(5),
  startTimeUnixNano: Nanoseconds,
  endTimeUnixNano: Nanoseconds,
  attributes: Attributes,
  /** 2 is an error. */
  status: z.object({ code: z.number().int().min(0).max(2) }),
});
export type SpanData = z.infer<typeof SpanData>;

const Request = z.strictObject({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: Attributes }),
      scopeSpans: z.array(z.object({ scope: z.object({ name: z.string() }), spans: z.array(SpanData) })),
    }),
  ),
});

export interface Collector {
  readonly endpoint: string;
  readonly spans: SpanData[];
  /** Attributes of those who sent them. */
  readonly resources: Record<string, unknown>[];
  /** Every body as it came. */
  readonly bodies: string[];
  readonly headers: IncomingMessage['headers'][];
  close(): Promise<void>;
}

/** `status`: what it answers; anything but 200 refuses. */
export async function startCollector(status = 200): Promise<Collector> {
  const collector = { spans: [] as SpanData[], resources: [] as Record<string, unknown>[], bodies: [] as string[] };
  const headers: IncomingMessage['headers'][] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    headers.push(request.headers);
    collector.bodies.push(body);
    if (status !== 200 || request.url !== '/v1/traces' || request.headers['content-type'] !== 'application/json') {
      response.writeHead(status === 200 ? 400 : status).end('{}');
      return;
    }
    for (const { resource, scopeSpans } of Request.parse(JSON.parse(body)).resourceSpans) {
      collector.resources.push(resource.attributes);
      for (const { spans } of scopeSpans) collector.spans.push(...spans);
    }
    response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"partialSuccess":{}}');
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  return {
    ...collector,
    headers,
    endpoint: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

function plain(value: z.infer<typeof Value>): unknown {
  if ('arrayValue' in value) return value.arrayValue.values.map(({ stringValue }) => stringValue);
  const [inner] = Object.values(value);
  return 'intValue' in value ? Number(inner) : inner;
}
