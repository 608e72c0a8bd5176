/** A worker in a process of its own, for tests that kill it: DATA_FOLDER CONFIG. Leaves when all runs have ended. */

import { join } from 'node:path';
import { openEmbeddedQueue } from '@slipway/shared/jobs/embedded.ts';
import { lockFile } from '../file-lock.ts';
import { listRuns } from '../run-folder.ts';
import { hasEnded } from '../run-state.ts';
import { workRuns } from '../work-runs.ts';
import { workerLock } from '../worker-lock.ts';
import { fakeStages } from './fake-stages.ts';

const [dataFolder = '', config = '{}'] = process.argv.slice(2);
const unlock = lockFile(workerLock(dataFolder));
if (unlock === undefined) throw new Error('another worker is there');
const queue = openEmbeddedQueue(join(dataFolder, 'jobs.db'));
await workRuns({
  dataFolder,
  queue,
  stages: fakeStages(dataFolder, JSON.parse(config)),
  signal: new AbortController().signal,
  leaseMilliseconds: 200,
  isDone: async () => (await listRuns(dataFolder)).every(({ state }) => hasEnded(state)),
});
await queue.close();
unlock();
