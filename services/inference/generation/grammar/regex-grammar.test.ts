/** Regular expressions as grammars, against JavaScript's own. */
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../engine/random.ts';
import { fits } from './testing/forms.ts';

/** Patterns and the letters that texts for them are made of. */
const PATTERNS: readonly (readonly [pattern: string, letters: string])[] = [
  ['abc', 'abc'],
  ['^a+b*c?$', 'abc'],
  ['(ab|cd)*e', 'abcde'],
  ['a{2,4}', 'ab'],
  ['(?:a|bc){2}', 'abc'],
  ['(?<word>a*?)b+?', 'ab'],
  ['[a-c]{0,3}', 'abcd'],
  ['[^a-c\\d]', 'abcd1é€\n😀'],
  ['.', 'a\n\r\u2028é😀'],
  ['\\d+\\.\\d{2}', '01.'],
  ['\\w+@\\w+', 'a_@.1'],
  ['[\\s\\S]{2}', 'a \n\u00a0€'],
  ['\\S\\s\\S', 'a \t\u3000'],
  ['\\D\\W', 'a1_-é'],
  ['\\u0041\\x42\\u{1F600}\\cJ', 'AB😀\n'],
  ['\\ud83d\\ude00+', '😀a'],
  ['[\\u00e9-\\u0101]', 'èéêÿĀāĂ'],
  ['[\\ud7ff-\\ue001]', '\ud7fe\ud7ff\ue000\ue001\ue002'],
  ['[\\u{ffff}-\\u{10001}]', '\ufffe\uffff\u{10000}\u{10001}\u{10002}'],
  ['[€-😀]', '₫€￿😀😁'],
  ['[\\]\\\\^-]', ']\\^-a'],
  ['[-a]', '-ab'],
  ['a||b', 'ab'],
  ['(a*)*b', 'ab'],
  ['((a|b)?)+', 'ab'],
  ['', 'a'],
  ['"\\\\/\\t', '"\\/\t'],
  ['[^"]', '"a\\'],
];

function textsOf(letters: string, random: () => number, count: number): string[] {
  const all = Array.from(letters);
  const length = () => Math.floor(random() * 7);
  const made = Array.from({ length: count }, () =>
    Array.from({ length: length() }, () => all[Math.floor(random() * all.length)]).join(''),
  );
  return [...new Set(['', ...all, ...made])];
}

describe('a whole text', () => {
  it.each(PATTERNS)('of %s', async (pattern, letters) => {
    const whole = new RegExp(`^(?:${pattern})$`, 'u');
    for (const text of textsOf(letters, createRandom(1), 60)) {
      const isFitting = await fits({ type: 'regex', pattern }, text);
      expect(isFitting, JSON.stringify(text)).toBe(whole.test(text));
    }
  });

  it('is never anything but UTF-8', async () => {
    const format = { type: 'regex', pattern: '[\\s\\S]?.' } as const;
    const wrong = [
      [0x80],
      [0xc0, 0x80],
      [0xe0, 0x80, 0x80],
      [0xed, 0xa0, 0x80],
      [0xf4, 0x90, 0x80, 0x80],
      [0xff],
      [0xe2, 0x82],
    ];
    for (const bytes of wrong) expect(await fits(format, Uint8Array.from(bytes)), String(bytes)).toBe(false);
    expect(await fits(format, '\u{10ffff}')).toBe(true);
  });
});

it.each([
  ['a(?=b)', 'a look ahead or behind'],
  ['(?<!a)b', 'a look ahead or behind'],
  ['(?i:a)', 'a flag'],
  ['(a)\\1', 'a back reference'],
  ['\\bword', 'a word boundary'],
  ['\\p{L}', 'a class of Unicode'],
  ['a^b', 'a ^ or $ that is not at its beginning or end'],
  ['(a$)b', 'a ^ or $ that is not at its beginning or end'],
  ['(a', 'a ( that is not closed'],
  ['a)', 'a ) that closes nothing'],
  ['[a', 'a [ that is not closed'],
  ['[z-a]', 'a range that is none'],
  ['a**', 'a repetition of a repetition'],
  ['*a', 'a * that stands for nothing'],
  ['a{3,1}', 'a repetition whose least count'],
  ['a{x}', 'a { that is no repetition'],
  ['\\', 'a \\ with nothing after it'],
  ['\\q', 'an unknown escape'],
  ['\\ud800', 'an escape that is no character'],
  ['[^\\s\\S]', 'no text can ever fit it'],
  ['(a{1000}){1000}', 'it is too large'],
  ['a{1,100000}', 'it is too large'],
  ['('.repeat(300), 'groups within each other'],
  ['a'.repeat(5000), 'a pattern has 5000 characters'],
])('%s is refused', async (pattern, reason) => {
  await expect(fits({ type: 'regex', pattern }, '')).rejects.toMatchObject({
    code: 'invalid_field',
    message: expect.stringContaining(reason),
  });
});
