/** FILE LEASE_MILLISECONDS PAUSE_MILLISECONDS */
import { openEmbeddedQueue } from '../embedded.ts';
import { workUntilAllHasEnded } from './worker.ts';

const [file = '', ...rest] = process.argv.slice(2);
await workUntilAllHasEnded(openEmbeddedQueue(file), rest);
