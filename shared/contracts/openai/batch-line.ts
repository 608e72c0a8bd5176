/**
 * One line of a batch's input and of its output, as OpenAI has them. Knows nothing of files and of how an answer is made.
 */
import { z } from 'zod';
import { describeIssues } from '../../lib/describe-issues.ts';
import { newId } from '../../lib/ids.ts';

/** Where a line may be sent; the last is our own. */
export const BATCH_ENDPOINTS = ['/v1/chat/completions', '/v1/completions', '/generate'] as const;
export type BatchEndpoint = (typeof BATCH_ENDPOINTS)[number];

export interface BatchRequest {
  readonly custom_id: string;
  readonly url: BatchEndpoint;
  readonly body: Readonly<Record<string, unknown>>;
}

/** What is wrong with a line, in OpenAI's words. */
export interface LineProblem {
  readonly code: string;
  readonly message: string;
  readonly param: string | null;
}

const LONGEST_CUSTOM_ID = 512;

const batchLine = z.object({
  custom_id: z.string().min(1).max(LONGEST_CUSTOM_ID),
  method: z.literal('POST').optional(),
  url: z.enum(BATCH_ENDPOINTS),
  body: z.record(z.string(), z.unknown()),
});

/** A line's JSON, or why it is none. */
export function parseJsonLine(text: string): { readonly value: unknown } | { readonly problem: LineProblem } {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { problem: { code: 'invalid_json_line', message: `this line is not valid JSON: ${reason}`, param: null } };
  }
}

/** `endpoint`: the only one that is wanted, if there is only one. */
export function parseBatchRequest(
  value: unknown,
  endpoint?: BatchEndpoint,
): { readonly request: BatchRequest } | { readonly problem: LineProblem } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { problem: { code: 'invalid_json_line', message: 'this line is not a JSON object', param: null } };
  }
  for (const param of ['custom_id', 'url', 'body']) {
    if (Reflect.get(value, param) !== undefined) continue;
    return { problem: { code: 'missing_required_parameter', message: `this line has no ${param}`, param } };
  }
  const parsed = batchLine.safeParse(value);
  if (!parsed.success) {
    const param = String(parsed.error.issues[0]?.path[0] ?? '');
    const code = param === 'url' ? 'invalid_url' : param === 'method' ? 'invalid_method' : 'invalid_request';
    return { problem: { code, message: describeIssues(parsed.error), param } };
  }
  const { custom_id, url, body } = parsed.data;
  if (endpoint !== undefined && url !== endpoint) {
    const message = `this line is for ${url}, but the batch is for ${endpoint}`;
    return { problem: { code: 'mismatched_endpoint', message, param: 'url' } };
  }
  if (body.stream === true) {
    return {
      problem: { code: 'invalid_request', message: 'a batch does not stream; leave out stream', param: 'body' },
    };
  }
  return { request: { custom_id, url, body } };
}

/** What an endpoint said. */
export interface EndpointAnswer {
  readonly status: number;
  readonly requestId: string;
  readonly body: unknown;
}

const BatchResult = z.object({
  id: z.string(),
  custom_id: z.string().nullable(),
  response: z.object({ status_code: z.int(), request_id: z.string(), body: z.unknown() }).nullable(),
  error: z.object({ code: z.string(), message: z.string(), line: z.int().optional() }).nullable(),
});
export type BatchResult = z.infer<typeof BatchResult>;

export function resultOfAnswer(custom_id: string | null, { status, requestId, body }: EndpointAnswer): BatchResult {
  const response = { status_code: status, request_id: requestId, body };
  return { id: newId('batch_req', '_'), custom_id, response, error: null };
}

export function resultOfProblem(custom_id: string | null, error: NonNullable<BatchResult['error']>): BatchResult {
  return { id: newId('batch_req', '_'), custom_id, response: null, error };
}

export function isFailedResult({ response }: BatchResult): boolean {
  return response === null || response.status_code !== 200;
}

/** A line that this module has written; undefined when it is none, or only a piece of one. */
export function parseResult(text: string): BatchResult | undefined {
  try {
    const parsed = BatchResult.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** What an answer of any of the endpoints says that it has generated; 0 where it says nothing. */
export function generatedTokens(body: unknown): number {
  const parsed = z.object({ usage: z.object({ completion_tokens: z.int() }) }).safeParse(body);
  return parsed.success ? parsed.data.usage.completion_tokens : 0;
}
