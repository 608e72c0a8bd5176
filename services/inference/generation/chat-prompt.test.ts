import type { Tokenizer } from '@slipway/shared/text/contract.ts';
import { describe, expect, it } from 'vitest';
import { type ChatMessage, prepareChat } from './chat-prompt.ts';

/** A token is a byte. */
const byteTokenizer: Tokenizer = {
  vocabularySize: 256,
  encode: (text) => [...Buffer.from(text)],
  decode: (tokens) => Buffer.from(tokens).toString(),
  bytesOf: (token) => Uint8Array.of(token),
  pieceOf: (token) => String.fromCharCode(token),
};

const TEMPLATE =
  "{%- for m in messages -%}{%- if not loop.first and m.role == 'assistant' and loop.index0 == 0 -%}{{ raise_exception('order') }}{%- endif -%}<{{ m.role[0] }}>{{ m.content }}{%- endfor -%}<a>";
const model = { name: 'm', tokenizer: byteTokenizer, chatTemplate: TEMPLATE, bosTokenId: null, eosTokenIds: [] };

const say = (role: string, content: string): ChatMessage => ({ role, content });
const textOf = (tokens: readonly number[]) => byteTokenizer.decode(tokens);

describe('a conversation', () => {
  const messages = [
    say('system', 'S'),
    say('user', '1'),
    say('assistant', 'one'),
    say('user', '2'),
    say('assistant', 'two'),
    say('tool', 't'),
    say('user', '3'),
  ];

  it('is whole when it fits', () => {
    const { tokens, droppedMessages } = prepareChat(model, messages, { limit: 100 });
    expect(textOf(tokens)).toBe('<s>S<u>1<a>one<u>2<a>two<t>t<u>3<a>');
    expect(droppedMessages).toBe(0);
  });

  it.each([
    [34, '<s>S<u>2<a>two<t>t<u>3<a>', 2],
    [24, '<s>S<u>3<a>', 5],
    [11, '<s>S<u>3<a>', 5],
  ])('of which %i tokens fit loses its oldest turns whole', (limit, text, dropped) => {
    const prepared = prepareChat(model, messages, { limit });
    expect(textOf(prepared.tokens)).toBe(text);
    expect(prepared.droppedMessages).toBe(dropped);
  });

  it('whose last turn does not fit is refused', () => {
    expect(() => prepareChat(model, messages, { limit: 10 })).toThrow(
      'the last turn alone has more than the 10 tokens',
    );
    expect(() => prepareChat(model, [say('user', 'x'.repeat(1e6))], { limit: 10 })).toThrow('the last turn alone');
  });

  it('loses as few turns as it must, of many', () => {
    const many = Array.from({ length: 101 }, (_, i) => say(i % 2 === 0 ? 'user' : 'assistant', `${100 + i}`));
    const { tokens, droppedMessages } = prepareChat(model, many, { limit: 303 });
    expect(droppedMessages).toBe(52);
    expect(tokens.length).toBeLessThanOrEqual(303);
    expect(tokens.length).toBeGreaterThan(303 - 12);
  });
});

describe('the end of the text', () => {
  const template =
    '{% for m in messages %}<{{ m.role[0] }}>{{ m.content if keep else m.content|trim }}|{% endfor %}{% if add_generation_prompt %}<a>{% endif %}';
  const messages = [say('user', 'go on'), say('assistant', ' One, two, ')];
  const rendered = (options: object, of = messages) =>
    textOf(prepareChat({ ...model, chatTemplate: template }, of, { limit: 1000, ...options }).tokens);

  it('is where a new message begins, unless something else is wanted', () => {
    expect(rendered({})).toBe('<u>go on|<a>One, two,|<a>');
    expect(rendered({ answer: 'anything' })).toBe('<u>go on|<a>One, two,|');
  });

  it('is the end of the last message when that goes on, spaces included where the template keeps them', () => {
    expect(rendered({ answer: 'last-message' })).toBe('<u>go on|<a>One, two,');
    expect(rendered({ answer: 'last-message', variables: { keep: true } })).toBe('<u>go on|<a> One, two, ');
    expect(() => rendered({ answer: 'last-message' }, [say('user', 'a'), say('assistant', ' ')])).toThrow('no text');
  });
});

it('messages that may not be left out are refused together', () => {
  const long = [say('user', 'one'), say('assistant', 'two'), say('user', 'three')];
  expect(prepareChat(model, long, { limit: 15 }).droppedMessages).toBe(2);
  expect(() => prepareChat(model, long, { limit: 15, isWhole: true })).toThrow('messages: they have more than the 15');
});

it('a model without a template says so', () => {
  expect(() => prepareChat({ ...model, chatTemplate: null }, [say('user', 'hi')], { limit: 10 })).toThrow(
    'm has no chat template',
  );
});
