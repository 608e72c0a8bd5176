/**
 * The endpoints that a batch's lines may be sent to: the routes of the service themselves, asked without a connection, with turns and limits of
 * their own. Knows nothing of batches.
 */
import type { BatchEndpoint, EndpointAnswer } from '@slipway/shared/contracts/openai/batch-line.ts';
import { BodyReaders } from '@slipway/shared/http/body-readers.ts';
import { InFlight } from '@slipway/shared/http/in-flight.ts';
import { errorHandler, type RequestEnvironment } from '@slipway/shared/http/request-context.ts';
import { newId } from '@slipway/shared/lib/ids.ts';
import type { Attempt } from '@slipway/shared/lines/ask-until-answered.ts';
import { Hono } from 'hono';
import type { Turns } from '../../generation/occupancy.ts';
import { errorShapeOf } from '../openai/error-shape.ts';
import { generateRoute } from '../routes/generate.ts';
import { chatCompletionsRoute } from '../routes/openai/chat-completions.ts';
import { completionsRoute } from '../routes/openai/completions.ts';
import type { ServiceParts } from '../service-parts.ts';

/** `owner`: who made the batch. What the signal aborts has the status 499. */
export type AskLine = (
  endpoint: BatchEndpoint,
  body: object,
  owner: string,
  signal: AbortSignal,
) => Promise<EndpointAnswer & Attempt>;

/** By which a line says whose it is; these requests never leave the process. */
const OWNER_HEADER = 'x-owner';
const ID_HEADER = 'x-request-id';

/** A line waits for its turn as long as its batch may; no batch may longer. */
const LONGEST_SECONDS = 7 * 86_400;

export function lineEndpoints(parts: ServiceParts, turns: Turns): AskLine {
  const behind: ServiceParts = {
    ...parts,
    turns,
    config: { ...parts.config, timeoutSeconds: LONGEST_SECONDS },
    // These are limits for clients; a batch has one for its lines.
    inFlight: new InFlight(Number.POSITIVE_INFINITY, () => false),
    bodies: new BodyReaders(Number.POSITIVE_INFINITY, () => performance.now()),
    // A trace is of a request that came by HTTP.
    tracing: null,
  };
  const app = new Hono<RequestEnvironment>();
  app.onError(errorHandler(parts.log, errorShapeOf));
  app.use(async (context, next) => {
    context.set('requestId', context.req.header(ID_HEADER) ?? '');
    context.set('principal', { name: context.req.header(OWNER_HEADER) ?? '', scopes: ['infer'] });
    context.set('allowance', { reserveTokens: () => () => {} });
    context.set('logged', {});
    await next();
  });
  app.post('/generate', generateRoute(behind));
  app.post('/v1/completions', completionsRoute(behind));
  app.post('/v1/chat/completions', chatCompletionsRoute(behind));
  return async (endpoint, body, owner, signal) => {
    const requestId = newId('req');
    const response = await app.request(endpoint, {
      method: 'POST',
      headers: { [ID_HEADER]: requestId, [OWNER_HEADER]: owner },
      body: JSON.stringify(body),
      signal,
    });
    const text = await response.text();
    const retryAfter = response.headers.get('retry-after');
    return {
      status: response.status,
      requestId,
      body: text === '' ? null : JSON.parse(text),
      retryAfterSeconds: retryAfter === null ? undefined : Number(retryAfter),
    };
  };
}
