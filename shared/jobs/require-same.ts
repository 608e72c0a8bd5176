/**
 * Whether a job that is sent again is the job that is there. Knows no store.
 */
import { isDeepStrictEqual } from 'node:util';
import { AppError } from '../contracts/errors.ts';
import type { Job, NewJob } from './job-queue.ts';

/** Gives the one that is there. AppError conflict when it is another. */
export function requireSame(present: Job, wanted: NewJob): Job {
  const isSame =
    present.queue === wanted.queue &&
    present.owner === wanted.owner &&
    isDeepStrictEqual(present.payload, plain(wanted.payload));
  if (isSame) return present;
  throw new AppError('conflict', `there is another job of the id ${wanted.id}; give this one an id of its own`);
}

/** As it comes back out of JSON. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
