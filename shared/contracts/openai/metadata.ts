/**
 * What callers may write on what they make, for themselves.
 */
import { z } from 'zod';

const MOST_PAIRS = 16;

export const Metadata = z
  .record(z.string().max(64), z.string().max(512))
  .refine((pairs) => Object.keys(pairs).length <= MOST_PAIRS, `must have at most ${MOST_PAIRS} pairs`);
