/**
 * `POST /generate`: from a request's bytes to one JSON answer or a stream of events. Knows its fields; leaves all else to generation.
 */
import {
  type GenerateAnswer,
  type GenerateDelta,
  type GenerateOutput,
  type GenerateRequest,
  generateRequestParser,
} from '@slipway/shared/contracts/generate.ts';
import { errorBody } from '@slipway/shared/http/error-response.ts';
import { EventStream } from '@slipway/shared/http/event-stream.ts';
import { newId } from '@slipway/shared/lib/ids.ts';
import type { Generation } from '../../generation/generate.ts';
import type { Route, ServiceParts } from '../service-parts.ts';
import { summaryOf, type Visit, visited } from '../visit.ts';

export function generateRoute(parts: ServiceParts): Route {
  const parse = generateRequestParser(parts.config);
  return visited(parts, async (visit, context) => {
    const { generation, events, started } = await begin(visit, parse);
    const running = visit.run(generation);
    if (events === undefined) {
      const answer = await running;
      visit.log(summaryOf(answer));
      return context.json(answer);
    }
    return visit.stream(events, started, running, {
      done(answer) {
        const outputs = answer.outputs.map((output) => ({ ...output, text: '', token_ids: [] }));
        events.send({ ...answer, text: '', outputs } satisfies GenerateAnswer, 'done');
      },
      failed: (error) => events.send(errorBody(error, visit.requestId), 'error'),
      summary: summaryOf,
    });
  });
}

interface Begun {
  readonly generation: Generation;
  /** When a stream was asked for. */
  readonly events: EventStream | undefined;
  readonly started: Promise<void>;
}

/** From the bytes to what waits for its turn. A function of its own: body and prompt end with it, and are not kept waiting. */
async function begin(visit: Visit, parse: (body: unknown) => GenerateRequest): Promise<Begun> {
  const request = parse(await visit.body());
  const model = await visit.model(request.model);
  const started = Promise.withResolvers<void>();
  const id = newId('gen');
  const events = request.stream ? new EventStream() : undefined;
  const generation = visit.generation(model, {
    id,
    request,
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
