/**
 * `GET /ws/training/{id}`: the events of a run over a WebSocket, after any of them. What is wanted of the run over it are requests of their
 * own, under the same rules as by HTTP: the key is looked at again, they are counted, limited and logged. Knows nothing of frames.
 */
import { errorBody } from '@slipway/shared/http/error-response.ts';
import { describeError, type Route } from '@slipway/shared/http/request-context.ts';
import { answerHandshake, requireHandshake } from '@slipway/shared/sockets/answer-handshake.ts';
import { socketOpener } from '@slipway/shared/sockets/telling-socket.ts';
import { answeredError, type Handshake } from '@slipway/shared/sockets/upgrades.ts';
import { accessibleRun } from '../runs/accessible-run.ts';
import { RunAnswer } from '../runs/run-answer.ts';
import { eventIdOf, isOver, runEvents } from '../runs/run-events.ts';
import type { ServiceParts } from '../service-parts.ts';
import { type RunWish, TRAINING_PROTOCOL, type TrainingSocketEvent } from '../sockets/training-message.ts';
import { TrainingSocket } from '../sockets/training-socket.ts';

const MOST_MESSAGE_BYTES = 4096;

export function trainingSocketRoute(parts: ServiceParts): Route {
  const { log } = parts;
  const { dataFolder, heartbeatSeconds } = parts.config;
  const open = socketOpener({ protocol: TRAINING_PROTOCOL, mostMessageBytes: MOST_MESSAGE_BYTES });
  return async (context) => {
    const after = eventIdOf(context.req.query('after'), 'after');
    const { id } = await accessibleRun(dataFolder, context.req.param('id'), context.get('principal'));
    const handshake = requireHandshake(context, `this is a WebSocket; over HTTP there is GET /runs/${id}/events`);
    const requestId = context.get('requestId');
    return answerHandshake(context, handshake, open, parts, (socket) => {
      const ask = (what: RunWish) => askRun(parts, handshake, requestId, { id, what });
      const training = new TrainingSocket(socket, { requestId, log, heartbeatSeconds, ask });
      const run = { id, dataFolder, after };
      void training.follow(runEvents(run, { from: 0, isOver: () => isOver(run), signal: training.signal }));
      return training;
    });
  };
}

async function askRun(
  { log }: ServiceParts,
  handshake: Handshake,
  connection: string,
  { id, what }: { readonly id: string; readonly what: RunWish },
): Promise<TrainingSocketEvent> {
  try {
    const { dispatch, incoming } = handshake;
    const response = await dispatch(handshake.request(`/runs/${id}/${what}`), { incoming });
    if (!response.ok) return { type: 'error', what, ...(await answeredError(response)) };
    return { type: 'asked', what, run: RunAnswer.parse(await response.json()) };
  } catch (error) {
    describeError(error, connection, log);
    return { type: 'error', what, ...errorBody(error, connection) };
  }
}
