/**
 * Sets of characters (Unicode scalar values), as sorted ranges that neither touch nor overlap. Pure.
 */

/** Both ends included. */
export type CharacterRange = readonly [from: number, to: number];
export type Characters = readonly CharacterRange[];

/** All but surrogates, which no text in UTF-8 has. */
export const ALL_CHARACTERS: Characters = [
  [0, 0xd7ff],
  [0xe000, 0x10ffff],
];

export function union(...sets: readonly Characters[]): Characters {
  const sorted = sets.flat().toSorted(([a], [b]) => a - b);
  const joined: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = joined.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else joined.push([from, to]);
  }
  return joined;
}

export function intersection(a: Characters, b: Characters): Characters {
  const common: CharacterRange[] = [];
  let [i, j] = [0, 0];
  for (let [left, right] = [a[i], b[j]]; left && right; [left, right] = [a[i], b[j]]) {
    const [from, to] = [Math.max(left[0], right[0]), Math.min(left[1], right[1])];
    if (from <= to) common.push([from, to]);
    if (left[1] < right[1]) i++;
    else j++;
  }
  return common;
}

/** All characters that are not in `set`. */
export function complement(set: Characters): Characters {
  const gaps: CharacterRange[] = [];
  let next = 0;
  for (const [from, to] of set) {
    if (from > next) gaps.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= 0x10ffff) gaps.push([next, 0x10ffff]);
  return intersection(gaps, ALL_CHARACTERS);
}

export function hasCharacter(set: Characters, character: number): boolean {
  return set.some(([from, to]) => from <= character && character <= to);
}

/** The characters of `text`. */
export function charactersOf(text: string): Characters {
  return union(Array.from(text, (letter): CharacterRange => [letter.codePointAt(0) ?? 0, letter.codePointAt(0) ?? 0]));
}
