/**
 * `POST /generate`: from a request's bytes to one JSON answer or a stream of events. Knows HTTP; leaves all else to generation.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import {
  type GenerateAnswer,
  type GenerateDelta,
  type GenerateOutput,
  type GenerateRequest,
  generateRequestParser,
} from '@slipway/shared/contracts/generate.ts';
import { errorBody } from '@slipway/shared/http/error-response.ts';
import { readJsonBody } from '@slipway/shared/http/json-body.ts';
import type { RequestEnvironment } from '@slipway/shared/http/request-context.ts';
import { newId } from '@slipway/shared/lib/ids.ts';
import type { Context } from 'hono';
import { CancelledError, Generation } from '../../generation/generate.ts';
import type { LoadedModel } from '../../generation/loaded-model.ts';
import { isServedAs } from '../../models/find-version.ts';
import { EVENT_STREAM_HEADERS, EventStream } from '../event-stream.ts';
import { type Route, readyModel, type ServiceParts } from '../service-parts.ts';

/** What nginx logs for it; the client is gone and never sees it. */
const CLIENT_CLOSED_REQUEST = 499;

export function generateRoute(parts: ServiceParts): Route {
  const parse = generateRequestParser(parts.config);
  return async (context) => {
    const leaving = [parts.inFlight.enter()];
    const leave = () => {
      for (const one of leaving) one();
    };
    try {
      const begun = await begin(context, parts, parse, (release) => leaving.unshift(release));
      // A stream goes on when this function has returned.
      if (begun.events !== undefined) return await stream(context, parts, begun, begun.events, leave);
      const answer = await begun.generation.run(parts.occupancy);
      context.set('logged', summaryOf(answer));
      leave();
      return context.json(answer);
    } catch (error) {
      leave();
      if (!(error instanceof CancelledError)) throw error;
      return new Response(null, { status: CLIENT_CLOSED_REQUEST });
    }
  };
}

interface Begun {
  readonly generation: Generation;
  /** When a stream was asked for. */
  readonly events: EventStream | undefined;
  readonly started: Promise<void>;
}

/** From the bytes to what waits for its turn. A function of its own: body and prompt end with it, and are not kept waiting. */
async function begin(
  context: Context<RequestEnvironment>,
  parts: ServiceParts,
  parse: (body: unknown) => GenerateRequest,
  onHold: (release: () => void) => void,
): Promise<Begun> {
  readyModel(parts.host);
  const request = parse(await readBody(context, parts));
  // While the body came another version may have taken its place; from here on it is this one's.
  const model = readyModel(parts.host);
  onHold(model.hold());
  requireServed(request.model, model);
  const started = Promise.withResolvers<void>();
  const id = newId('gen');
  const events = request.stream ? new EventStream() : undefined;
  const generation = new Generation(model, parts.config, parts.metrics.observerFor(model.name), {
    id,
    requestId: context.get('requestId'),
    request,
    signal: context.req.raw.signal,
    onStart: started.resolve,
    ...(events === undefined ? {} : { onDelta: senderOf(events, id, model.name) }),
  });
  return { generation, events, started: started.promise };
}

function senderOf(events: EventStream, id: string, model: string): (output: GenerateOutput) => void {
  return (output) => {
    const delta: GenerateDelta = { id, model, text: output.index === 0 ? output.text : '', outputs: [output] };
    events.send(delta);
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

function requireServed(wanted: string | undefined, { name, manifest, aliases }: LoadedModel): void {
  const version = manifest?.version;
  if (wanted === undefined || isServedAs(wanted, { name, version, aliases: aliases() })) return;
  const names = version === undefined ? name : `${name} or ${name}@${version}`;
  throw new AppError('not_found', `model ${JSON.stringify(wanted)} is not served here; ${names} is`);
}

/** The headers wait for a slot in the engine, so that what goes wrong before has its own status. */
async function stream(
  context: Context<RequestEnvironment>,
  parts: ServiceParts,
  { generation, started }: Begun,
  events: EventStream,
  leave: () => void,
): Promise<Response> {
  const running = generation.run(parts.occupancy);
  await Promise.race([started, running]);
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
    const outputs = answer.outputs.map((output) => ({ ...output, text: '', token_ids: [] }));
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

function summaryOf(answer: GenerateAnswer): Record<string, unknown> {
  return { model: answer.model, ...answer.usage, ...answer.timings, finish_reason: answer.outputs[0]?.finish_reason };
}
