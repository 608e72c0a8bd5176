/**
 * Whether an example is trained on or held out: by its content and the seed alone, so that more data moves no example to the other side.
 */
import { createHash } from 'node:crypto';

export type Side = 'train' | 'validation';

/** `share`: 0..1 of all examples that are held out. `digest`: of the example's content. */
export function sideOf(digest: Buffer, seed: number, share: number): Side {
  if (share <= 0) return 'train';
  const drawn = createHash('sha256').update(`${seed}:`).update(digest).digest().readUInt32BE(0) / 2 ** 32;
  return drawn < share ? 'validation' : 'train';
}
