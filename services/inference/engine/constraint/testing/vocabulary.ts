/**
 * A small vocabulary for texts of a form: every byte, and pieces as tokenizers make them, across what belongs together and what does not.
 */
import type { Constraint } from '../../contract.ts';
import type { StringLimits } from '../marks.ts';
import type { TokenTable } from '../token-table.ts';

const WORDS = [
  '{"',
  '":"',
  '","',
  '"}',
  '""',
  'abc',
  ' a',
  'é',
  '"a',
  'a"',
  'ab"',
  '\\n',
  '\\"',
  'true',
  '12',
  '":{"',
  '"abc"',
];
const PIECES = [
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  ...WORDS.map((word) => Buffer.from(word)),
  // The first two bytes of a character of three.
  Uint8Array.of(0xe2, 0x82),
  new Uint8Array(),
];

export const VOCABULARY = PIECES.length;
export const EOS = VOCABULARY - 1;

let end = 0;
export const TOKENS: TokenTable = {
  bytes: Buffer.concat(PIECES),
  ends: Uint32Array.from(PIECES, ({ length }) => {
    end += length;
    return end;
  }),
};

export function constrain(ebnf: string, limits: readonly StringLimits[] = []): Constraint {
  return { grammar: { ebnf, limits }, tokens: TOKENS };
}

/** Throws when they are no UTF-8. */
export function textOf(ids: readonly number[]): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(
    Buffer.concat(ids.map((id) => PIECES[id] ?? new Uint8Array())),
  );
}

/** The ids of the bytes of `text`. */
export function idsOf(text: string): number[] {
  return [...Buffer.from(text)];
}
