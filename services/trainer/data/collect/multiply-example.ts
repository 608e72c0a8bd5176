/**
 * How often an example is trained on, and in which words: the weight of its source, and changed copies. Drawn by its content and the seed
 * alone, so that more data changes no example's lot. Pure.
 */
import { createHash } from 'node:crypto';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { parseExample } from '../canonical.ts';
import { type Augmentation, augmentExample } from './augment-example.ts';
import type { Collected } from './collect-examples.ts';

export interface Multiplication {
  /** 2: twice; 0.5: every second one, as they are drawn. */
  readonly weight: number;
  /** Null: no copies. */
  readonly augment: Augmentation | null;
  readonly seed: number;
}

export interface Multiplied {
  /** As it is. */
  readonly times: number;
  /** The canonical lines of its changed copies; none is like another or like the example. */
  readonly changed: readonly string[];
}

export function multiplyExample(
  { json, digest }: Pick<Collected, 'json' | 'digest'>,
  { weight, augment, seed }: Multiplication,
): Multiplied {
  const times = Math.floor(weight) + (drawn(seed, 'weight', digest)() < weight % 1 ? 1 : 0);
  if (augment === null || times === 0) return { times, changed: [] };
  const example = parseExample(json);
  if ('text' in example) throw new Error('a passage of text has nothing that is asked');
  const random = drawn(seed, 'augment', digest);
  const changed = new Set<string>();
  for (let copy = 0; copy < times * augment.copies; copy++) {
    changed.add(JSON.stringify(augmentExample(example, augment, random)));
  }
  changed.delete(JSON.stringify(example));
  return { times, changed: [...changed] };
}

/** AppError invalid_field: text is one stream, and nothing in it is asked. */
export function requireNoMultiplication({ weight, augment }: Multiplication): void {
  if (augment !== null)
    throw new AppError(
      'invalid_field',
      'data.augment changes what is asked, and in plain text nothing is: leave it out',
    );
  if (weight !== 1) {
    throw new AppError(
      'invalid_field',
      'data.train: weights count examples, and plain text is one stream of documents: give its files without weights',
    );
  }
}

/** A stream of numbers from 0 up to, and without, 1. */
function drawn(seed: number, purpose: string, digest: Buffer): () => number {
  let block = createHash('sha256').update(`${seed}:${purpose}:`).update(digest).digest();
  let at = 0;
  return () => {
    if (at === block.length) {
      block = createHash('sha256').update(block).digest();
      at = 0;
    }
    at += 4;
    return block.readUInt32BE(at - 4) / 2 ** 32;
  };
}
