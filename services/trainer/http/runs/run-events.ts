/**
 * What happens to a run, from any event on until it ends, as callers are told of it. Knows where its log lies, and not by which way it is told.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { eventIn } from '../../runs/event-log.ts';
import { LoggedEvent } from '../../runs/run-event.ts';
import { readRun, runFolder } from '../../runs/run-folder.ts';
import { hasEnded } from '../../runs/run-state.ts';
import type { FeedEvent } from '../event-feed.ts';
import { type FollowOptions, followLines } from '../follow-lines.ts';
import { trainerEvent } from './trainer-event.ts';

export interface FollowedRun {
  readonly id: string;
  readonly dataFolder: string;
  /** The id of the last event that the reader has had; 0: none. */
  readonly after: number;
}

/** What has come since the last time, which may be nothing. `data` is the whole event as JSON. */
export async function* runEvents(
  { id, dataFolder, after }: FollowedRun,
  follow: FollowOptions,
): AsyncGenerator<readonly FeedEvent[]> {
  for await (const lines of followLines(runFolder(dataFolder, id).events, follow)) {
    const news = lines.flatMap(({ text }) =>
      idOf(text) > after ? (LoggedEvent.safeParse(eventIn(text)).data ?? []) : [],
    );
    // What the reader has had is not told as nothing: that is what is told while it waits.
    if (news.length === 0 && lines.length > 0) continue;
    const record = news.length === 0 ? undefined : await readRun(dataFolder, id);
    yield record === undefined
      ? []
      : news.map((logged) => {
          const event = trainerEvent(logged, record);
          return { id: event.id, event: event.type, data: JSON.stringify(event) };
        });
  }
}

/** Whether nothing more happens to it. */
export async function isOver({ dataFolder, id }: FollowedRun): Promise<boolean> {
  return hasEnded((await readRun(dataFolder, id)).state);
}

/** The id of the last event that a reader has had, as it says it; 0 when it says none. AppError invalid_field. */
export function eventIdOf(given = '0', field: string): number {
  if (/^\d{1,15}$/.test(given)) return Number(given);
  throw new AppError(
    'invalid_field',
    `${field} must be the id of an event, but is ${JSON.stringify(given.slice(0, 50))}`,
  );
}

/** Every line begins with it, so that those that are passed over need not be parsed. */
function idOf(line: string): number {
  return Number(/^\{"id":(\d+)/.exec(line)?.[1]);
}
