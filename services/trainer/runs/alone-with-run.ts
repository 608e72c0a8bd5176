/**
 * One at a time for what is asked of a run, from whichever process: nobody changes the run between the look and the deed.
 */
import { oneAtATime } from './file-lock.ts';
import { readRun, runFolder } from './run-folder.ts';

/** AppError not_found: whoever names no run makes no lock either. */
export async function aloneWithRun<Done>(dataFolder: string, id: string, work: () => Promise<Done>): Promise<Done> {
  await readRun(dataFolder, id);
  return oneAtATime(runFolder(dataFolder, id).lock, work);
}
