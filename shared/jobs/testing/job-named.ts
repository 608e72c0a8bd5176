/** A job for tests, of which only its id and what is under test need be said. */
import type { NewJob } from '../job-queue.ts';

export function jobNamed(id: string, rest: Partial<NewJob> = {}): NewJob {
  return { id, queue: 'work', owner: 'ada', payload: null, priority: 'normal', maxAttempts: null, ...rest };
}
