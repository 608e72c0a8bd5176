/**
 * `/runs/:id/events` and `/runs/:id/logs/stream`: server-sent events that go on where a reader was cut off (`Last-Event-ID`), and end with
 * the run. To a reader who has had everything of a run that has ended 204 says that there is nothing to come back for.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { EVENT_STREAM_HEADERS } from '@slipway/shared/http/event-stream.ts';
import type { RequestEnvironment, Route } from '@slipway/shared/http/request-context.ts';
import type { Context } from 'hono';
import { LoggedEvent } from '../../runs/run-event.ts';
import { type RunFolder, readRun, runFolder } from '../../runs/run-folder.ts';
import { hasEnded } from '../../runs/run-state.ts';
import { eventFeed, type FeedEvent } from '../event-feed.ts';
import { type FollowOptions, followLines } from '../follow-lines.ts';
import { accessibleRun } from '../runs/accessible-run.ts';
import { trainerEvent } from '../runs/trainer-event.ts';
import type { ServiceParts } from '../service-parts.ts';

/** Each holds a connection for as long as its run takes. */
const FEEDS_AT_ONCE = 256;

type Source = (run: FeedRun, follow: FollowOptions) => AsyncGenerator<readonly FeedEvent[]>;

interface FeedRun {
  readonly id: string;
  readonly dataFolder: string;
  readonly folder: RunFolder;
  /** The id of the last event that the reader has had; 0: none. */
  readonly after: number;
}

export class FeedRoutes {
  readonly #parts: ServiceParts;
  #open = 0;

  constructor(parts: ServiceParts) {
    this.#parts = parts;
  }

  events(): Route {
    return this.#route(events);
  }

  logs(): Route {
    return this.#route(logLines);
  }

  #route(source: Source): Route {
    return async (context) => {
      const { dataFolder } = this.#parts.config;
      const after = lastEventId(context);
      const { id } = await accessibleRun(dataFolder, context.req.param('id'), context.get('principal'));
      if (this.#open >= FEEDS_AT_ONCE) throw new AppError('overloaded', `${this.#open} feeds are open; try again soon`);
      const gone = new AbortController();
      const signal = AbortSignal.any([gone.signal, this.#parts.leaving]);
      const isOver = async () => hasEnded((await readRun(dataFolder, id)).state);
      const run: FeedRun = { id, dataFolder, folder: runFolder(dataFolder, id), after };
      const feed = source(run, { from: 0, isOver, signal });
      // What comes first, be it nothing yet; undefined when all that there is has been had.
      const { value: first } = await feed.next();
      if (first === undefined && after > 0 && !signal.aborted) return context.body(null, 204);
      this.#open++;
      const onEnd = () => {
        if (gone.signal.aborted) return;
        gone.abort();
        this.#open--;
      };
      return context.body(eventFeed(startingWith(first, feed), onEnd), 200, EVENT_STREAM_HEADERS);
    };
  }
}

async function* events(run: FeedRun, follow: FollowOptions): AsyncGenerator<readonly FeedEvent[]> {
  for await (const lines of followLines(run.folder.events, follow)) {
    const news = lines.filter(({ text }) => idOf(text) > run.after);
    // What the reader has had is not told as nothing: that is what is told while it waits.
    if (news.length === 0 && lines.length > 0) continue;
    const record = news.length === 0 ? undefined : await readRun(run.dataFolder, run.id);
    yield record === undefined
      ? []
      : news.map(({ text }) => {
          const event = trainerEvent(LoggedEvent.parse(JSON.parse(text)), record);
          return { id: event.id, event: event.type, data: JSON.stringify(event) };
        });
  }
}

/** The id of a line of the kernel's log is where the next one begins. */
async function* logLines({ folder, after }: FeedRun, follow: FollowOptions): AsyncGenerator<readonly FeedEvent[]> {
  for await (const lines of followLines(folder.kernelLog, { ...follow, from: after })) {
    yield lines.map(({ text, end }) => ({ id: end, data: text }));
  }
}

/** Every line begins with it, so that those that are passed over need not be parsed. */
function idOf(line: string): number {
  return Number(/^\{"id":(\d+)/.exec(line)?.[1]);
}

function lastEventId(context: Context<RequestEnvironment>): number {
  const given = context.req.header('last-event-id') ?? '0';
  if (/^\d{1,15}$/.test(given)) return Number(given);
  throw new AppError(
    'invalid_field',
    `Last-Event-ID must be the id of an event, but is ${JSON.stringify(given.slice(0, 50))}`,
  );
}

async function* startingWith(first: readonly FeedEvent[] | undefined, rest: AsyncGenerator<readonly FeedEvent[]>) {
  try {
    if (first !== undefined) yield first;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}
