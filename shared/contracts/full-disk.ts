/**
 * A write that found no room, told as an error for users. Knows nothing of what was written.
 */
import { AppError } from './errors.ts';

/** No space, no quota, and a file that may not become larger. */
const NO_ROOM = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Runs `work`; when it finds no room: AppError disk_full that names the file and says what to do. */
export async function tellFullDisk<T>(file: string, advice: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (!NO_ROOM.has(code)) throw error;
    throw new AppError('disk_full', `${file} cannot grow: the disk is full (${code}); ${advice}`, { cause: error });
  }
}
