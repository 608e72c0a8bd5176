/**
 * What can go wrong between the page and the service, sorted by what the reader can do about it. Knows no words for it: the view has them.
 */
import * as z from 'zod/mini';

export const Problem = z.object({
  kind: z.enum(['unreachable', 'unauthorized', 'busy', 'refused', 'failed']),
  /** In the service's own words; empty when it said nothing. */
  message: z.string(),
  /** Seconds after which the service asks to be tried again. */
  retryAfter: z.nullable(z.number()),
});
export type Problem = z.infer<typeof Problem>;

export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}

/** OpenAI's shape and ours both have a message. */
const ErrorBody = z.object({ error: z.object({ message: z.string() }) });

export function messageOf(body: unknown): string | undefined {
  const parsed = ErrorBody.safeParse(body);
  return parsed.success ? parsed.data.error.message : undefined;
}

export function problemOf(status: number, body: unknown, retryAfter: string | null): Problem {
  const seconds = Number(retryAfter ?? Number.NaN);
  return {
    kind: kindOf(status),
    message: messageOf(body) ?? '',
    retryAfter: Number.isFinite(seconds) ? seconds : null,
  };
}

function kindOf(status: number): Problem['kind'] {
  if (status === 401) return 'unauthorized';
  // What stands between a page and a service answers with 502 when nobody is there.
  if (status === 502) return 'unreachable';
  if (status === 429 || status === 503) return 'busy';
  return status < 500 ? 'refused' : 'failed';
}

/** `what`: what had been tried, when the answer was not of the form that was expected. */
export function problemFrom(error: unknown, what: string): Problem {
  if (error instanceof ServiceError) return error.problem;
  const message = `${what}: ${error instanceof Error ? error.message : String(error)}`;
  return { kind: 'failed', message, retryAfter: null };
}

/** An AbortError stays what it is: somebody wanted it. */
export function asServiceError(error: unknown): unknown {
  if (error instanceof ServiceError || (error instanceof DOMException && error.name === 'AbortError')) return error;
  // What fetch and its streams throw when a connection cannot be made or breaks.
  if (error instanceof TypeError) return new ServiceError({ kind: 'unreachable', message: '', retryAfter: null });
  return error;
}
