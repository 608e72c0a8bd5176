/**
 * What happens to a run as callers are told: events with a name and a version, made of the lines of its log. A name's fields never change
 * their meaning; what would is v2. Pure.
 */
import { z } from 'zod';
import type { LoggedEvent } from '../../runs/run-event.ts';
import { type RunRecord, Trained } from '../../runs/run-record.ts';
import { RunState } from '../../runs/run-state.ts';
import { FailureClass, Started } from '../../supervisor/kernel-protocol.ts';

const count = z.int();

/** Without the paths. */
export const TrainedNumbers = Trained.omit({ model: true, adapter: true, checkpoint: true });

const head = { id: count, run: z.string(), at: z.iso.datetime() };

export const TrainerEvent = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('trainer.job.started.v1'),
    ...head,
    data: z.object({ message: z.string() }),
  }),
  z.object({
    type: z.literal('trainer.job.progress.v1'),
    ...head,
    data: z
      .looseObject({ kind: z.string() })
      .describe(
        'kind: state, phase, data, checkpoint, sample, micro_batch, log, failure or published; each has fields of its own. A sample has step, prompt and ids (token ids), prompt_text and text (what they say), and ended.',
      ),
  }),
  z.object({
    type: z.literal('trainer.job.completed.v1'),
    ...head,
    data: z.object({ message: z.string(), published: z.array(z.string()) }),
  }),
  z.object({
    type: z.literal('trainer.job.failed.v1'),
    ...head,
    data: z.object({ state: RunState, message: z.string(), class: FailureClass.nullable() }),
  }),
  z.object({
    type: z.literal('trainer.metrics.config.v1'),
    ...head,
    data: Started.omit({ type: true }),
  }),
  z.object({
    type: z.literal('trainer.metrics.progress.v1'),
    ...head,
    /** `kind`: training or evaluation. */
    data: z.looseObject({ kind: z.enum(['training', 'evaluation']), step: count, loss: z.number() }),
  }),
  z.object({ type: z.literal('trainer.metrics.completed.v1'), ...head, data: TrainedNumbers }),
]);
export type TrainerEvent = z.infer<typeof TrainerEvent>;

/** `run`: as it is now, for what its log does not say. */
export function trainerEvent(logged: LoggedEvent, run: RunRecord): TrainerEvent {
  const { id, at } = logged;
  const head = { id, run: run.id, at };
  switch (logged.type) {
    case 'started': {
      const { id: _, at: __, type: ___, ...data } = logged;
      return { type: 'trainer.metrics.config.v1', ...head, data };
    }
    case 'progress':
    case 'evaluation': {
      const { id: _, at: __, type, ...data } = logged;
      const kind = type === 'progress' ? 'training' : 'evaluation';
      return { type: 'trainer.metrics.progress.v1', ...head, data: { kind, ...data } };
    }
    case 'state':
      return stateEvent(logged.state, logged.message, run, head);
    case 'checkpoint': {
      const { step, bytes, best } = logged;
      return { type: 'trainer.job.progress.v1', ...head, data: { kind: 'checkpoint', step, bytes, best } };
    }
    default: {
      const { id: _, at: __, type: kind, ...data } = logged;
      return { type: 'trainer.job.progress.v1', ...head, data: { kind, ...data } };
    }
  }
}

function stateEvent(
  state: RunState,
  message: string,
  { published, trained, failure }: RunRecord,
  head: Pick<TrainerEvent, 'id' | 'run' | 'at'>,
): TrainerEvent {
  if (state === 'succeeded') return { type: 'trainer.job.completed.v1', ...head, data: { message, published } };
  if (state === 'failed' || state === 'cancelled') {
    const kind = state === 'failed' ? (failure?.class ?? null) : null;
    return { type: 'trainer.job.failed.v1', ...head, data: { state, message, class: kind } };
  }
  if (state === 'publishing' && trained !== null) {
    return { type: 'trainer.metrics.completed.v1', ...head, data: TrainedNumbers.parse(trained) };
  }
  if (state === 'preparing') return { type: 'trainer.job.started.v1', ...head, data: { message } };
  return { type: 'trainer.job.progress.v1', ...head, data: { kind: 'state', state, message } };
}
