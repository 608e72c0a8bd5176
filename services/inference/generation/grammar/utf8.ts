/**
 * Sets of characters as what UTF-8 makes of them: sequences of ranges of bytes. Pure.
 */
import type { Characters } from './characters.ts';

/** Both ends included. */
export type ByteRange = readonly [from: number, to: number];

/** The last character of so many bytes. */
const LAST = [0x7f, 0x7ff, 0xffff, 0x10ffff];

/** Sequences of ranges that together allow the bytes of these characters, which have no surrogates, and no others. */
export function utf8Sequences(characters: Characters): ByteRange[][] {
  return characters.flatMap(([from, to]) =>
    LAST.flatMap((last, index) => {
      const [low, high] = [Math.max(from, (LAST[index - 1] ?? -1) + 1), Math.min(to, last)];
      return low > high ? [] : sameLength(bytesOf(low), bytesOf(high));
    }),
  );
}

function bytesOf(character: number): number[] {
  return [...Buffer.from(String.fromCodePoint(character))];
}

/** All sequences of bytes from `low` to `high`, of which all but the first are continuations. */
function sameLength(low: readonly number[], high: readonly number[]): ByteRange[][] {
  const [firstLow = 0, ...restLow] = low;
  const [firstHigh = 0, ...restHigh] = high;
  if (restLow.length === 0) return [[[firstLow, firstHigh]]];
  const head = (first: number, last: number, rests: ByteRange[][]): ByteRange[][] =>
    first > last ? [] : rests.map((rest) => [[first, last], ...rest]);
  if (firstLow === firstHigh) return head(firstLow, firstLow, sameLength(restLow, restHigh));
  const [lowest, highest] = [restLow.map(() => 0x80), restHigh.map(() => 0xbf)];
  const isWholeLow = restLow.every((byte) => byte === 0x80);
  const isWholeHigh = restHigh.every((byte) => byte === 0xbf);
  return [
    ...(isWholeLow ? [] : head(firstLow, firstLow, sameLength(restLow, highest))),
    ...head(firstLow + (isWholeLow ? 0 : 1), firstHigh - (isWholeHigh ? 0 : 1), [
      highest.map((byte): ByteRange => [0x80, byte]),
    ]),
    ...(isWholeHigh ? [] : head(firstHigh, firstHigh, sameLength(lowest, restHigh))),
  ];
}
