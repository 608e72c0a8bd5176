/**
 * A batch of examples as one array of ids, the shape in which threads hand them over. Pure.
 */
import { parseExample } from '../canonical.ts';
import type { TextSide } from '../text-side.ts';
import { textsOf } from '../unknown-characters.ts';
import { encodeExample } from './encode-example.ts';

export interface EncodedBatch {
  /** Of every example made: which of the batch's lines it came from, and its own line where that is another. */
  readonly sources: readonly number[];
  readonly lines: readonly (string | null)[];
  /** Tokens of every example, uncut. */
  readonly lengths: Uint32Array;
  /** Ids of all examples, each cut to `keep`. */
  readonly ids: Uint32Array;
  /** As `ids`, 1 where trained; null where all are. */
  readonly mask: Uint8Array | null;
  /** Examples with an answer that nothing ends. */
  readonly endless: readonly number[];
  readonly rejected: readonly { readonly source: number; readonly reason: string }[];
  readonly highestId: number;
  /** Characters that were looked at for whether the tokenizer knows them; none where it knows any. */
  readonly characters: number;
  readonly unknown: readonly UnknownInBatch[];
}

interface UnknownInBatch {
  readonly character: string;
  count: number;
  /** The first line it is in. */
  readonly source: number;
}

/** `keep`: more tokens of one example than these are counted, not returned. */
export function encodeBatch(batch: readonly string[], side: TextSide, keep: number): EncodedBatch {
  const made = batch.flatMap((line, source) => {
    const { encoded, rejected } = encodeExample(parseExample(line), side);
    return [
      ...rejected.map((reason) => ({ source, reason, one: undefined, line: '' })),
      ...encoded.map((one) => ({ source, reason: '', one, line })),
    ];
  });
  const kept = made.flatMap(({ one, source, line }) => (one ? { one, source, line } : []));
  const total = kept.reduce((sum, { one }) => sum + Math.min(keep, one.ids.length), 0);
  const ids = new Uint32Array(total);
  const mask = kept.some(({ one }) => one.mask !== null) ? new Uint8Array(total) : null;
  let at = 0;
  let highestId = 0;
  for (const { one } of kept) {
    const length = Math.min(keep, one.ids.length);
    for (let index = 0; index < length; index++) {
      const id = one.ids[index] as number;
      ids[at + index] = id;
      if (id > highestId) highestId = id;
    }
    if (mask && one.mask) mask.set(one.mask.subarray(0, length), at);
    at += length;
  }
  return {
    sources: kept.map(({ source }) => source),
    lines: kept.map(({ one, line }) => {
      const own = JSON.stringify(one.example);
      return own === line ? null : own;
    }),
    lengths: Uint32Array.from(kept, ({ one }) => one.ids.length),
    ids,
    mask,
    endless: kept.flatMap(({ one }, index) => (one.isEndless ? index : [])),
    rejected: made.flatMap(({ reason, source }) => (reason === '' ? [] : { source, reason })),
    highestId,
    ...findUnknown(batch, side),
  };
}

function findUnknown(batch: readonly string[], side: TextSide): Pick<EncodedBatch, 'characters' | 'unknown'> {
  if (side.findUnknown === null) return { characters: 0, unknown: [] };
  const found = new Map<string, UnknownInBatch>();
  let characters = 0;
  for (const [source, line] of batch.entries()) {
    for (const text of textsOf(parseExample(line))) {
      const looked = side.findUnknown(text);
      characters += looked.characters;
      for (const character of looked.unknown) {
        const known = found.get(character);
        if (known) known.count++;
        else found.set(character, { character, count: 1, source });
      }
    }
  }
  return { characters, unknown: [...found.values()] };
}
