/** Holds the lock of a file until it is killed. */
import { lockFile } from '../file-lock.ts';

const unlock = lockFile(process.argv[2] ?? '');
if (unlock === undefined) throw new Error('another process holds it');
process.stdout.write('held\n');
// Kept where it is seen: a connection that nobody can reach any more is closed, and its lock is gone.
setInterval(() => unlock.name, 1000);
