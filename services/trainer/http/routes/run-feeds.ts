/**
 * `/runs/:id/events` and `/runs/:id/logs/stream`: server-sent events that go on where a reader was cut off (`Last-Event-ID`), and end with
 * the run. To a reader who has had everything of a run that has ended 204 says that there is nothing to come back for.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { EVENT_STREAM_HEADERS } from '@slipway/shared/http/event-stream.ts';
import type { Route } from '@slipway/shared/http/request-context.ts';
import { runFolder } from '../../runs/run-folder.ts';
import { eventFeed, type FeedEvent } from '../event-feed.ts';
import { type FollowOptions, followLines } from '../follow-lines.ts';
import { accessibleRun } from '../runs/accessible-run.ts';
import { eventIdOf, type FollowedRun, isOver, runEvents } from '../runs/run-events.ts';
import type { ServiceParts } from '../service-parts.ts';

/** Each holds a connection for as long as its run takes. */
const FEEDS_AT_ONCE = 256;

type Source = (run: FollowedRun, follow: FollowOptions) => AsyncGenerator<readonly FeedEvent[]>;

export class FeedRoutes {
  readonly #parts: ServiceParts;
  #open = 0;

  constructor(parts: ServiceParts) {
    this.#parts = parts;
  }

  events(): Route {
    return this.#route(runEvents);
  }

  logs(): Route {
    return this.#route(logLines);
  }

  #route(source: Source): Route {
    return async (context) => {
      const { dataFolder } = this.#parts.config;
      const after = eventIdOf(context.req.header('last-event-id'), 'Last-Event-ID');
      const { id } = await accessibleRun(dataFolder, context.req.param('id'), context.get('principal'));
      // Nobody would read it, nor end it.
      if (context.req.method === 'HEAD') return context.body(null, 200, EVENT_STREAM_HEADERS);
      if (this.#open >= FEEDS_AT_ONCE) throw new AppError('overloaded', `${this.#open} feeds are open; try again soon`);
      const gone = new AbortController();
      const signal = AbortSignal.any([gone.signal, this.#parts.leaving]);
      const run: FollowedRun = { id, dataFolder, after };
      const feed = source(run, { from: 0, isOver: () => isOver(run), signal });
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

/** The id of a line of the kernel's log is where the next one begins. */
async function* logLines(
  { dataFolder, id, after }: FollowedRun,
  follow: FollowOptions,
): AsyncGenerator<readonly FeedEvent[]> {
  for await (const lines of followLines(runFolder(dataFolder, id).kernelLog, { ...follow, from: after })) {
    yield lines.map(({ text, end }) => ({ id: end, data: text }));
  }
}

async function* startingWith(first: readonly FeedEvent[] | undefined, rest: AsyncGenerator<readonly FeedEvent[]>) {
  try {
    if (first !== undefined) yield first;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}
