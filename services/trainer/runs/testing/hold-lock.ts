/** Holds the lock of a file until it is killed. */
import { lockWorker } from '../worker-lock.ts';

lockWorker(process.argv[2] ?? '');
process.stdout.write('held\n');
setInterval(() => {}, 1000);
