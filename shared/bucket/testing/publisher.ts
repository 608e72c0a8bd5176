/**
 * A publisher in a process of its own, for tests that kill it: BUCKET NAME CONTENT COUNT EXTRA_FILES [hang].
 * Each publication says something else of itself, so that each is a version. Prints `staged` before each publication and the version after it; `hang` never publishes.
 */
import { openBucket } from '../open-bucket.ts';
import { draftManifest, writeDraftFiles } from './draft.ts';

const [address = '', name = '', content = '', count = '1', extraFiles = '0', hang] = process.argv.slice(2);
const bucket = openBucket(address);
for (let round = 0; round < Number(count); round++) {
  const staging = await bucket.stage(name);
  await writeDraftFiles(staging, content, Number(extraFiles));
  process.stdout.write('staged\n');
  if (hang === 'hang') await new Promise((resolve) => setTimeout(resolve, 600_000));
  const { version } = await staging.publish({ ...draftManifest(name), description: `${process.pid}, ${round}` });
  process.stdout.write(`${version}\n`);
}
