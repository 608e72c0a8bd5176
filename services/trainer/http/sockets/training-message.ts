/**
 * What is said over `/ws/training/{id}`: by the caller what is wanted of the run, by the service the run's events and what became of what
 * was wanted. Parses what a caller sends and says in words what is wrong with it.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { messageFields, type SocketError } from '@slipway/shared/contracts/sockets.ts';
import { z } from 'zod';
import type { RunAnswer } from '../runs/run-answer.ts';
import type { TrainerEvent } from '../runs/trainer-event.ts';

export const TRAINING_PROTOCOL = 'slipway.training';

const RunWish = z.enum(['pause', 'resume', 'cancel']);
/** As the paths below `/runs/{id}` are called. */
export type RunWish = z.infer<typeof RunWish>;

const TrainingMessage = z.object({ type: z.enum([...RunWish.options, 'ping']) });
export type TrainingMessage = z.infer<typeof TrainingMessage>;

export type TrainingSocketEvent =
  | TrainerEvent
  /** It is asked, which may be before it has happened: the events tell when. */
  | { readonly type: 'asked'; readonly what: RunWish; readonly run: RunAnswer }
  /** Of a message, and where it was a wish of that. */
  | ({ readonly type: 'error'; readonly what?: RunWish } & SocketError)
  | { readonly type: 'pong' };

/** Of a message's text. AppError invalid_json, invalid_field. */
export function parseTrainingMessage(text: string): TrainingMessage {
  const { success, data } = TrainingMessage.safeParse(messageFields(text));
  if (success) return data;
  throw new AppError('invalid_field', `type must be one of ${TrainingMessage.shape.type.options.join(', ')}`);
}
