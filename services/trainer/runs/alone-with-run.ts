/**
 * One at a time for what is asked of a run, from whichever process: nobody changes the run between the look and the deed.
 */
import { tellFullDisk } from '@slipway/shared/contracts/full-disk.ts';
import { oneAtATime } from './file-lock.ts';
import { readRun, runFolder } from './run-folder.ts';

/** AppError not_found: whoever names no run makes no lock either; disk_full. */
export async function aloneWithRun<Done>(dataFolder: string, id: string, work: () => Promise<Done>): Promise<Done> {
  await readRun(dataFolder, id);
  return tellFullDisk(`the folder of ${id}`, 'free some space and ask again', () =>
    oneAtATime(runFolder(dataFolder, id).lock, work),
  );
}
