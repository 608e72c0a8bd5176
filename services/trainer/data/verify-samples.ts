/**
 * Which examples the kernel encodes again with its own tokenizer before it trains: a few of each kind, none of them long. Pure.
 */
import type { EncodedExample } from './encode/encode-example.ts';
import type { VerifySample } from './preparation.ts';

const MOST = 16;
const LONGEST = 4096;

/** With tools, with turns of their own, and with characters beyond ASCII first: there two tokenizers differ. */
export function verifySamples(encoded: readonly EncodedExample[]): VerifySample[] {
  return encoded
    .filter(({ ids }) => ids.length <= LONGEST)
    .map((one) => ({ one, rank: rankOf(one) }))
    .toSorted((a, b) => b.rank - a.rank)
    .slice(0, MOST)
    .map(({ one: { example, ids, mask } }) => ({
      ...example,
      ids: [...ids],
      mask: mask ? [...mask] : ids.map(() => 1),
    }));
}

function rankOf({ example }: EncodedExample): number {
  const hasTools = 'tools' in example;
  const isAlone = 'trained_turns' in example;
  const hasMore = /[^\0-\x7f]/.test(JSON.stringify(example));
  return Number(hasTools) + Number(isAlone) + Number(hasMore);
}
