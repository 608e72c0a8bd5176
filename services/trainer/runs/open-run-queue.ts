/**
 * The queue that runs wait in: in Redis where one is named, else in a file of the data folder. The command line and the service open the
 * same one.
 */
import { join } from 'node:path';
import type { JobQueue } from '@slipway/shared/jobs/job-queue.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';

/** `jobsUrl`: redis://... or null. All who name one Redis share one data folder. */
export async function openRunQueue(dataFolder: string, jobsUrl: string | null, log: Logger): Promise<JobQueue> {
  // Either is loaded only where it is wanted.
  if (jobsUrl !== null) return (await import('../jobs/redis.ts')).openRedisQueue(jobsUrl, log);
  const { openEmbeddedQueue } = await import('@slipway/shared/jobs/embedded.ts');
  return openEmbeddedQueue(join(dataFolder, 'runs', 'jobs.db'));
}
