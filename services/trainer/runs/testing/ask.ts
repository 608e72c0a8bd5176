/** Asks something of runs, one after the other, in a process of its own: DATA_FOLDER WHAT ID... Says when it is there, begins when it is told. */
import { once } from 'node:events';
import { join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { openEmbeddedQueue } from '@slipway/shared/jobs/embedded.ts';
import { askRun } from '../ask-run.ts';
import { Wish } from '../run-folder.ts';
import { resumeRun } from '../submit-run.ts';

const [dataFolder = '', what = '', ...ids] = process.argv.slice(2);
const queue = openEmbeddedQueue(join(dataFolder, 'jobs.db'));
process.stdout.write('ready\n');
await once(process.stdin, 'data');
for (const id of ids) {
  try {
    if (what === 'resumed') await resumeRun(dataFolder, queue, id);
    else await askRun(dataFolder, queue, id, Wish.parse(what));
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'conflict')) throw error;
  }
}
await queue.close();
process.stdin.destroy();
