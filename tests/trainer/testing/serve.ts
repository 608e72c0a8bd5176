/** A trainer in a process of its own, for tests that kill it: FOLDERS CONFIG KERNEL LEASE_MILLISECONDS, each as JSON. Says its URL; SIGTERM drains it. */
import { serveVersion } from '../../../cli/serve-version.ts';
import { type Folders, startTestTrainer } from './test-trainer.ts';

const [folders = '', config = '{}', kernel = '{}', lease = ''] = process.argv.slice(2);
const trainer = await startTestTrainer(JSON.parse(folders) as Folders, {
  config: JSON.parse(config),
  kernel: JSON.parse(kernel),
  leaseMilliseconds: JSON.parse(lease),
  serve: serveVersion,
});
process.on('SIGTERM', async () => {
  const isWhole = await trainer.drain(60);
  await trainer.close();
  process.exit(isWhole ? 0 : 1);
});
process.stdout.write(`${trainer.url}\n`);
