/** Strings within limits: what the threads allow and forbid, against counting every text by hand. */
import { afterAll, expect, it } from 'vitest';
import { createRandom } from '../random.ts';
import { Constraints } from './constraints.ts';
import type { Guide } from './guide.ts';
import { markBefore, markInside, type StringLimits } from './marks.ts';
import { idsOf, TOKENS, textOf, VOCABULARY } from './testing/vocabulary.ts';
import { tokenBytes } from './token-table.ts';

const constraints = new Constraints(TOKENS);
afterAll(() => constraints.end());

const CHARACTERS = String.raw`[ !\x23-\x5B\x5D-\x7E] | [\xC2-\xDF] [\x80-\xBF] | [\xE1-\xEC] [\x80-\xBF] [\x80-\xBF]`;

/** A string with limits, as the writer of grammars makes them. */
function limited(name: string, index: number): string {
  const mark = (bytes: Uint8Array) => Array.from(bytes, (byte) => `[${`\\x${byte.toString(16)}`.repeat(2)}]`).join(' ');
  const each = CHARACTERS.split(' | ')
    .map((one) => `${one} ${name}_rest`)
    .join(' | ');
  return `${name} ::= "\\"" ${name}_rest | ${mark(markBefore(index))}
${name}_rest ::= "\\"" | ${each} | "\\\\" ["\\\\n] ${name}_rest | ${mark(markInside(index))}`;
}

function open(ebnf: string, limits: readonly StringLimits[]): Guide {
  return constraints.open({ ebnf, limits });
}

async function allowed(guide: Guide): Promise<number[]> {
  guide.ask([]);
  const [mask] = (await guide.answered) ?? [];
  if (!mask) throw new Error('no mask');
  return Array.from({ length: VOCABULARY }, (_, id) => id).filter(
    (id) => (((mask.words[id >> 5] ?? 0) >>> (id & 31)) & 1) === 1,
  );
}

async function accepts(ebnf: string, limits: readonly StringLimits[], tokens: readonly number[]): Promise<boolean> {
  const guide = open(ebnf, limits);
  for (const token of tokens) {
    if (!(await allowed(guide)).includes(token)) return false;
    guide.accept(token);
  }
  guide.ask([]);
  const [mask] = (await guide.answered) ?? [];
  constraints.close(guide);
  return mask?.mayEnd === true;
}

const RANGE: readonly StringLimits[] = [{ min: 2, max: 4, not: [] }];
const GRAMMAR = `root ::= one\n${limited('one', 0)}`;

it.each([
  ['""', false],
  ['"a"', false],
  ['"ab"', true],
  ['"abcd"', true],
  ['"abcde"', false],
  ['"€€€€"', true],
  ['"€€€€€"', false],
  ['"é"', false],
  [String.raw`"\n\""`, true],
  [String.raw`"\n\n\n\n\n"`, false],
])('%s, byte by byte, of two to four characters: %s', async (text, expected) => {
  expect(await accepts(GRAMMAR, RANGE, idsOf(text))).toBe(expected);
});

it('counts what tokens of several characters hold', async () => {
  const guide = open(GRAMMAR, RANGE);
  const texts = async () => new Set((await allowed(guide)).map((id) => Buffer.from(tokenBytes(TOKENS, id)).toString()));
  // One that opens the string and closes it too early is not there; one that fills it is.
  const first = await texts();
  expect(first).toContain('"a');
  expect(first).toContain('"abc"');
  expect(first).not.toContain('""');
  guide.accept(34);
  guide.accept(idsOf('a')[0] ?? 0);
  const second = await texts();
  expect(second).toContain('abc');
  expect(second).not.toContain('"');
  expect(second).toContain('a"');
  guide.accept(idsOf('a')[0] ?? 0);
  guide.accept(idsOf('a')[0] ?? 0);
  const third = await texts();
  expect(third).not.toContain('abc');
  expect(third).not.toContain(' a');
  expect(third).toContain('é');
  expect(third).toContain('\\n');
  constraints.close(guide);
});

it('forbids contents', async () => {
  const limits = [{ min: 0, max: Infinity, not: ['ab', 'é'] }];
  expect(await accepts(GRAMMAR, limits, idsOf('"ab"'))).toBe(false);
  expect(await accepts(GRAMMAR, limits, idsOf('"abc"'))).toBe(true);
  expect(await accepts(GRAMMAR, limits, idsOf('"é"'))).toBe(false);
  expect(await accepts(GRAMMAR, limits, idsOf('"e"'))).toBe(true);
});

it('knows which string it is in, and when it is none of them any more', async () => {
  const limits = [
    { min: 0, max: 2, not: [] },
    { min: 3, max: 3, not: [] },
  ];
  const ebnf = `root ::= "[" one "," two "," ("\\"xyz\\"" | one) "]"\n${limited('one', 0)}\n${limited('two', 1)}`;
  expect(await accepts(ebnf, limits, idsOf('["ab","abc","a"]'))).toBe(true);
  expect(await accepts(ebnf, limits, idsOf('["abc"'))).toBe(false);
  expect(await accepts(ebnf, limits, idsOf('["ab","ab"'))).toBe(false);
  // Both readings are possible up to its second letter, and only the longer one from the third.
  const either = `root ::= "\\"xyz\\"" | long\n${limited('long', 0)}`;
  expect(await accepts(either, [{ min: 5, max: 9, not: [] }], idsOf('"xyzxyz"'))).toBe(true);
});

it('whatever is drawn keeps the limits, also when guesses are looked at and taken back', async () => {
  const limits = [
    { min: 1, max: 3, not: ['a', 'ab'] },
    { min: 0, max: 5, not: [] },
  ];
  const ebnf = `root ::= "{" pair more\npair ::= one ":" two\nmore ::= "}" | "," pair more\n${limited('one', 0)}\n${limited('two', 1)}`;
  let ended = 0;
  for (let seed = 0; seed < 60; seed++) {
    const random = createRandom(seed);
    const guide = open(ebnf, limits);
    const tokens: number[] = [];
    let isWhole = false;
    for (let step = 0; step < 80; step++) {
      const guesses = Array.from({ length: seed % 4 }, () => Math.floor(random() * VOCABULARY));
      guide.ask(guesses);
      const [mask] = (await guide.answered) ?? [];
      isWhole = mask?.mayEnd === true;
      if (isWhole) break;
      const ids = Array.from({ length: VOCABULARY }, (_, id) => id).filter(
        (id) => (((mask?.words[id >> 5] ?? 0) >>> (id & 31)) & 1) === 1,
      );
      // What closes is rare among so many letters.
      const closing = ids.filter((id) => id === 34 || id === 125);
      const from = closing.length > 0 && random() < 0.5 ? closing : ids;
      const token = from[Math.floor(random() * from.length)] ?? -1;
      tokens.push(token);
      guide.accept(token);
    }
    constraints.close(guide);
    if (!isWhole) continue;
    const text = textOf(tokens);
    ended++;
    for (const [, name = '', value = ''] of text.matchAll(/("(?:[^"\\]|\\.)*"):("(?:[^"\\]|\\.)*")/g)) {
      const [key, content] = [JSON.parse(name) as string, JSON.parse(value) as string];
      expect(Array.from(key).length, text).toBeGreaterThanOrEqual(1);
      expect(Array.from(key).length, text).toBeLessThanOrEqual(3);
      expect(['a', 'ab'], text).not.toContain(key);
      expect(Array.from(content).length, text).toBeLessThanOrEqual(5);
    }
  }
  expect(ended).toBeGreaterThan(20);
});
