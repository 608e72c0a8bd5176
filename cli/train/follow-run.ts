/**
 * Follows a run until it ends, and works on the queue itself while nobody else does. Ctrl-C asks for a pause first; a second one leaves at
 * once, and takes the kernel with it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobQueue } from '@slipway/shared/jobs/job-queue.ts';
import {
  askRun,
  EventReader,
  hasEnded,
  LoggedEvent,
  type RunRecord,
  readRun,
  runFolder,
  workRunsAlone,
} from '@slipway/trainer/runs';
import { serveVersion } from '../serve-version.ts';
import type { RunView } from './run-lines.ts';
import { EMPTY_PICTURE, type RunPicture, withEvent } from './run-picture.ts';
import { openRunScreen } from './run-screen.ts';

export interface Followed {
  readonly run: RunRecord;
  readonly picture: RunPicture;
  /** Somebody pressed Ctrl-C. */
  readonly isInterrupted: boolean;
}

export interface FollowOptions {
  readonly isJson: boolean;
  /** The id of an event; 0: all are shown. */
  readonly since: number;
}

const LOOK_MILLISECONDS = 150;
const TAKE_OVER_MILLISECONDS = 2000;

/** What happened until `since` is seen in curves alone. */
export async function followRun(
  dataFolder: string,
  queue: JobQueue,
  id: string,
  { isJson, since }: FollowOptions,
): Promise<Followed> {
  const { name } = await readRun(dataFolder, id);
  const folder = runFolder(dataFolder, id);
  const view: RunView = {
    name,
    id,
    hint: 'Ctrl-C pauses; the run can be resumed',
  };
  const screen = openRunScreen(view, isJson);
  const events = new EventReader(folder.events);
  const leave = new AbortController();
  let picture = EMPTY_PICTURE;
  let working: Promise<void> | undefined;
  let fault: { readonly error: unknown } | undefined;
  let triedAt = Number.NEGATIVE_INFINITY;
  let interrupts = 0;

  const isOver = async () => {
    const { state } = await readRun(dataFolder, id);
    return hasEnded(state) || state === 'paused';
  };
  const work = () => {
    triedAt = performance.now();
    working = workRunsAlone(dataFolder, queue, leave.signal, isOver, serveVersion);
    working?.catch((error: unknown) => {
      fault = { error };
    });
  };
  const pause = async () => {
    // Its turn has not come: what is worked on now is another run, which goes on with the next worker.
    if ((await readRun(dataFolder, id)).state === 'queued') leave.abort();
    else await askRun(dataFolder, queue, id, 'paused');
  };
  const interrupt = () => {
    interrupts++;
    if (interrupts > 1) process.exit(130);
    if (working === undefined) return;
    screen.hint('pauses after this step and keeps a checkpoint; Ctrl-C again ends it at once');
    // It has just ended, or is being published: what it does now is short.
    pause().catch((error: unknown) => screen.hint(error instanceof Error ? error.message : String(error)));
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, interrupt);
  try {
    for (;;) {
      const isLast = await isOver();
      const news = events.read().map((event) => LoggedEvent.parse(event));
      for (const event of news) picture = withEvent(picture, event);
      screen.show(
        news.filter((event) => event.id > since),
        picture,
      );
      if (fault !== undefined) throw fault.error;
      const goesOnElsewhere = interrupts > 0 && (working === undefined || leave.signal.aborted);
      if (isLast || goesOnElsewhere) break;
      if (working === undefined && performance.now() - triedAt > TAKE_OVER_MILLISECONDS) work();
      await sleep(LOOK_MILLISECONDS);
    }
    await working;
    return { run: await readRun(dataFolder, id), picture, isInterrupted: interrupts > 0 };
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupt);
    screen.close();
  }
}
