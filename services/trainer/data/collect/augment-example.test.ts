import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Conversation, Example } from '../canonical.ts';
import { encodeExample } from '../encode/encode-example.ts';
import type { TemplateName } from '../templates/find-template.ts';
import { tinyText } from '../testing/tiny-text.ts';
import { type ModelText, openTextSide } from '../text-side.ts';
import { augmentExample } from './augment-example.ts';
import { multiplyExample } from './multiply-example.ts';

const ALL = { copies: 4, lowercase: 0.5, unpunctuated: 0.5, typos: 0.3 };
const always = (settings: Partial<typeof ALL>) => ({ copies: 1, lowercase: 0, unpunctuated: 0, typos: 0, ...settings });
const ask = (content: string, settings: Partial<typeof ALL>, random = () => 0.5) => {
  const answer = { role: 'assistant', content: 'Paris is the CAPITAL.' } as const;
  const conversation: Conversation = { messages: [{ role: 'user', content }, answer] };
  const { messages } = augmentExample(conversation, always(settings), random);
  expect(messages[1]).toEqual(answer);
  return messages[0]?.content;
};

describe('what is asked', () => {
  test('in small letters, without the last mark, with letters that changed places', () => {
    expect(ask('What is Paris known for?', { lowercase: 1 })).toBe('what is paris known for?');
    expect(ask('Is Пётр here?', { lowercase: 1, unpunctuated: 1 })).toBe('is пётр here');
    expect(ask('Wait ... what?!', { unpunctuated: 1 })).toBe('Wait ... what?!');
    expect(ask('What does Marie know about radium 226?', { typos: 1 })).toBe('What deos Marie konw abuot raidum 226?');
  });

  test.each([
    'Fix `const answers = 1;` please.',
    'def twice(number):\n    return number + number\n',
    'Summarize https://example.com/some/page today.',
    'Sort the rows of name | count by count.',
    '法国的首都是哪里？',
    'ما هي عاصمة فرنسا؟',
  ])('stays where a moved letter would be another question, or no letter is small: %s', (content) => {
    expect(ask(content, { lowercase: 1, unpunctuated: 1, typos: 1 })).toBe(content);
  });

  test('of a prompt all but its last word', () => {
    const asked = { prompt: 'Some people said that', completion: ' it rains.' };
    expect(augmentExample(asked, always({ typos: 1, lowercase: 1 }), () => 0.5)).toEqual({
      prompt: 'some pepole siad that',
      completion: ' it rains.',
    });
  });
});

/** Examples of pseudo-random words; the same ones every time. */
function* examples(count: number): Generator<Exclude<Example, { text: string }>> {
  let state = 7;
  const next = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % below;
  };
  const letters = 'abcdefghabcdefghéñöüXYАбвгд你 好.,?!"\'-12\n';
  const word = () => Array.from({ length: 1 + next(9) }, () => Array.from(letters)[next(letters.length - 2)]).join('');
  const text = () => Array.from({ length: 1 + next(12) }, word).join(' ');
  for (let index = 0; index < count; index++) {
    if (index % 3 === 0) yield { prompt: text() + ['', ' ', '\n'][next(3)], completion: text() };
    else {
      const turns = Array.from({ length: 1 + next(3) }, () => [
        { role: 'user' as const, content: text() },
        { role: 'assistant' as const, content: text() },
      ]);
      yield { messages: [{ role: 'system', content: text() }, ...turns.flat()] };
    }
  }
}

/** With tokens of two letters, so that it matters where a token begins. */
function withMerges(text: ModelText): ModelText {
  const json = text.tokenizerJson as { readonly model: { readonly vocab: Readonly<Record<string, number>> } };
  const pairs = Array.from('abcdefgh\u0120').flatMap((left) => Array.from('abcdefgh', (right) => [left, right]));
  const merged = Object.fromEntries(pairs.map((pair, index) => [pair.join(''), 300 + index]));
  return {
    ...text,
    tokenizerJson: { ...json, model: { ...json.model, vocab: { ...json.model.vocab, ...merged }, merges: pairs } },
  };
}

test.each<TemplateName>(['chatml', 'llama2', 'alpaca'])(
  'what is learnt of a changed copy is what was learnt before: %s',
  (template) => {
    const side = openTextSide(withMerges(tinyText({ bos: '<s>', addBos: true })), template);
    const trained = (example: Example) =>
      encodeExample(example, side).encoded.map(({ ids, mask }) => ids.filter((_, at) => mask?.[at] === 1));
    let copies = 0;
    for (const example of examples(900)) {
      const json = JSON.stringify(example);
      const one = { json, digest: createHash('sha256').update(json).digest() };
      const { changed } = multiplyExample(one, { weight: 1, augment: ALL, seed: 3 });
      expect(multiplyExample(one, { weight: 1, augment: ALL, seed: 3 }).changed).toEqual(changed);
      expect(new Set([json, ...changed]).size).toBe(changed.length + 1);
      for (const copy of changed) expect(trained(JSON.parse(copy))).toEqual(trained(example));
      copies += changed.length;
    }
    expect(copies).toBeGreaterThan(150);
  },
);

test('a weight is how often: a part of it is drawn by what an example says', () => {
  const times = (weight: number) =>
    Array.from({ length: 400 }, (_, index) => {
      const json = JSON.stringify({ prompt: `${index}`, completion: 'a' });
      const digest = createHash('sha256').update(json).digest();
      return multiplyExample({ json, digest }, { weight, augment: null, seed: 1 }).times;
    });
  expect(new Set(times(3))).toEqual(new Set([3]));
  expect(new Set(times(0.25))).toEqual(new Set([0, 1]));
  const sum = (weight: number) => times(weight).reduce((total, one) => total + one, 0);
  expect(sum(0.25)).toBeGreaterThan(60);
  expect(sum(0.25)).toBeLessThan(140);
  expect(sum(1.25)).toBe(400 + sum(0.25));
});
