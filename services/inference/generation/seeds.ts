/**
 * Seeds of a request's sequences: drawn when none is given, one of its own for each sequence. Pure but for the draw.
 */
import { randomInt } from 'node:crypto';

export function drawSeed(): number {
  return randomInt(2 ** 32);
}

/** The first sequence has the request's own seed, so that asking for more never changes the first. */
export function seedOfSequence(seed: number, index: number): number {
  if (index === 0) return seed;
  const high = Math.floor(seed / 2 ** 32);
  return mix(seed ^ mix(high ^ mix(index)));
}

/** The finalizer of MurmurHash3 (Appleby, 2011): a bijection on 32 bits that spreads neighbours apart. */
function mix(value: number): number {
  let bits = value | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
