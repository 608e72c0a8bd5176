/**
 * Whether a source can be converted, without converting it: for those who do long work on it first. Reads no weights but to hash them.
 */
import type { Checkpoint } from './checkpoint.ts';
import { describeConvertible } from './convertible.ts';
import { openCheckpoint } from './readers/open-checkpoint.ts';

/** What it consists of. AppError as `convert` would throw it of a source it cannot read, or of an architecture that is not known. */
export async function checkSource(path: string): Promise<Checkpoint['files']> {
  const checkpoint = await openCheckpoint(path);
  try {
    describeConvertible(checkpoint);
    return checkpoint.files;
  } finally {
    await checkpoint.close();
  }
}
