/**
 * A process that uses a version until it is killed: BUCKET REFERENCE. Prints the version's folder.
 */
import { openBucket } from '../open-bucket.ts';

const [address = '', reference = ''] = process.argv.slice(2);
const bucket = openBucket(address);
process.stdout.write(`${await bucket.materialize(await bucket.resolve(reference))}\n`);
await new Promise((resolve) => setTimeout(resolve, 600_000));
