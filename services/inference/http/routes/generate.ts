/**
 * `POST /generate`: from a request's bytes to one JSON answer or a stream of events. Knows HTTP; leaves all else to generation.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import {
  type GenerateAnswer,
  type GenerateDelta,
  type GenerateRequest,
  generateRequestParser,
} from '@slipway/shared/contracts/generate.ts';
import { errorBody } from '@slipway/shared/http/error-response.ts';
import { readJsonBody } from '@slipway/shared/http/json-body.ts';
import type { RequestEnvironment } from '@slipway/shared/http/request-context.ts';
import { newId } from '@slipway/shared/lib/ids.ts';
import type { Context } from 'hono';
import { CancelledError, type GenerateJob, Generation } from '../../generation/generate.ts';
import type { LoadedModel } from '../../generation/loaded-model.ts';
import { EVENT_STREAM_HEADERS, EventStream } from '../event-stream.ts';
import { type Route, readyModel, type ServiceParts } from '../service-parts.ts';

/** What nginx logs for it; the client is gone and never sees it. */
const CLIENT_CLOSED_REQUEST = 499;

export function generateRoute(parts: ServiceParts): Route {
  const parse = generateRequestParser(parts.config);
  return async (context) => {
    const leave = parts.inFlight.enter();
    try {
      const model = readyModel(parts.host);
      const request = parse(await readBody(context, parts));
      requireServed(request.model, model);
      // A stream goes on when this function has returned.
      if (request.stream) return await stream(context, parts, model, request, leave);
      const answer = await run(context, parts, model, request);
      leave();
      return context.json(answer);
    } catch (error) {
      leave();
      if (!(error instanceof CancelledError)) throw error;
      return new Response(null, { status: CLIENT_CLOSED_REQUEST });
    }
  };
}

async function readBody(context: Context<RequestEnvironment>, parts: ServiceParts): Promise<unknown> {
  try {
    return await readJsonBody(context.req.raw, parts.config.bodyLimitBytes);
  } catch (error) {
    if (!(error instanceof AppError) && context.req.raw.signal.aborted) throw new CancelledError('the client has left');
    throw error;
  }
}

function requireServed(wanted: string | undefined, { name, manifest }: LoadedModel): void {
  const names = [name, ...(manifest === null ? [] : [`${name}@${manifest.version}`])];
  if (wanted === undefined || names.includes(wanted)) return;
  throw new AppError('not_found', `model ${JSON.stringify(wanted)} is not served here; ${names.join(' or ')} is`);
}

async function run(
  context: Context<RequestEnvironment>,
  parts: ServiceParts,
  model: LoadedModel,
  request: GenerateRequest,
): Promise<GenerateAnswer> {
  const generation = begin(context, parts, model, { request, signal: context.req.raw.signal });
  const answer = await generation.run(parts.occupancy);
  context.set('logged', summaryOf(answer));
  return answer;
}

/** The headers wait for a slot in the engine, so that what goes wrong before has its own status. */
async function stream(
  context: Context<RequestEnvironment>,
  parts: ServiceParts,
  model: LoadedModel,
  request: GenerateRequest,
  leave: () => void,
): Promise<Response> {
  const events = new EventStream();
  const started = Promise.withResolvers<void>();
  const id = newId('gen');
  const generation = begin(context, parts, model, {
    id,
    request,
    signal: context.req.raw.signal,
    onStart: started.resolve,
    onDelta: (output) => {
      const delta: GenerateDelta = {
        id,
        model: model.name,
        text: output.index === 0 ? output.text : '',
        outputs: [output],
      };
      events.send(delta);
    },
  });
  const running = generation.run(parts.occupancy);
  await Promise.race([started.promise, running]);
  void finish(running, context.get('requestId'), events, parts).finally(leave);
  return context.body(events.readable, 200, EVENT_STREAM_HEADERS);
}

async function finish(
  running: Promise<GenerateAnswer>,
  requestId: string,
  events: EventStream,
  { log }: ServiceParts,
): Promise<void> {
  try {
    const answer = await running;
    const outputs = answer.outputs.map(({ index, finish_reason }) => ({
      index,
      text: '',
      token_ids: [],
      finish_reason,
    }));
    events.send({ ...answer, text: '', outputs } satisfies GenerateAnswer, 'done');
    log.info({ request_id: requestId, ...summaryOf(answer) }, 'streamed');
  } catch (error) {
    if (error instanceof CancelledError) {
      log.info({ request_id: requestId }, 'the client left a stream');
    } else {
      if (!(error instanceof AppError)) log.error({ request_id: requestId, err: error }, 'a bug');
      else log.warn({ request_id: requestId, error: error.code }, error.message);
      events.send(errorBody(error, requestId), 'error');
    }
  } finally {
    events.close();
  }
}

function begin(
  context: Context<RequestEnvironment>,
  parts: ServiceParts,
  model: LoadedModel,
  job: Omit<GenerateJob, 'id' | 'requestId'> & { id?: string },
): Generation {
  return new Generation(model, parts.config, parts.metrics.observerFor(model.name), {
    id: newId('gen'),
    requestId: context.get('requestId'),
    ...job,
  });
}

function summaryOf(answer: GenerateAnswer): Record<string, unknown> {
  return { model: answer.model, ...answer.usage, ...answer.timings, finish_reason: answer.outputs[0]?.finish_reason };
}
