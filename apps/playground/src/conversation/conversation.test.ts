import { describe, expect, it } from 'vitest';
import type { AnswerPiece } from '../api/answer.ts';
import {
  type Answer,
  emptyAnswer,
  extended,
  interrupted,
  questionFor,
  type Turns,
  withAnswer,
} from './conversation.ts';
import { fitting } from './stored.ts';
import { visibleTokens } from './visible-tokens.ts';

const token = (text: string) => ({ text, logprob: -1, top: [] });
const piece = (text: string, more: Partial<AnswerPiece> = {}): AnswerPiece => ({
  text,
  tokens: [token(text)],
  finishReason: null,
  completionTokens: null,
  ...more,
});
const answered = (text: string, more: Partial<Answer> = {}): Answer => ({
  ...emptyAnswer('m', 'chat'),
  text,
  tokens: [token(text)],
  state: 'done',
  ...more,
});

describe('what a model is asked', () => {
  const turns: Turns = [
    { id: '1', prompt: 'one', answers: [answered('left'), answered('right')] },
    { id: '2', prompt: 'two', answers: [answered('left again'), null] },
    { id: '3', prompt: 'three', answers: [answered('', { state: 'failed' }), null] },
    { id: '4', prompt: 'four', answers: [] },
  ];

  it("is its own lane's history, the other's where it has none, and no turn without an answer", () => {
    expect(questionFor(turns, 3, 1, 'chat', 'Be kind.')).toEqual({
      mode: 'chat',
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'one' },
        { role: 'assistant', content: 'right' },
        { role: 'user', content: 'two' },
        { role: 'assistant', content: 'left again' },
        { role: 'user', content: 'four' },
      ],
    });
  });

  it('ends before the turn that is asked anew', () => {
    expect(questionFor(turns, 0, 0, 'chat', ' ')).toEqual({
      mode: 'chat',
      messages: [{ role: 'user', content: 'one' }],
    });
  });

  it('is the prompt alone where a text is continued', () => {
    expect(questionFor(turns, 3, 0, 'completion', 'Be kind.')).toEqual({ mode: 'completion', prompt: 'four' });
  });
});

describe('an answer that grows', () => {
  it('measures from the question to the first token, and from there on', () => {
    const one = extended(emptyAnswer('m', 'chat'), [piece('a')], { began: 1000, first: 1200, last: 1200 });
    expect(one).toMatchObject({ text: 'a', state: 'streaming', firstTokenMs: 200, tokensPerSecond: null });
    const more = extended(one, [piece('b'), piece('c', { finishReason: 'length' })], {
      began: 1000,
      first: 1200,
      last: 1300,
    });
    expect(more).toMatchObject({ text: 'abc', finishReason: 'length', completionTokens: 3, tokensPerSecond: 20 });
    const told = extended(more, [piece('', { tokens: [], completionTokens: 5 })], {
      began: 1000,
      first: 1200,
      last: 1300,
    });
    expect(told).toMatchObject({ text: 'abc', finishReason: 'length', completionTokens: 5, tokensPerSecond: 40 });
  });

  it('is put where its lane is', () => {
    const turns = withAnswer([{ id: '1', prompt: 'one', answers: [] }], '1', 1, () => answered('right'));
    expect(turns[0]?.answers).toEqual([null, answered('right')]);
  });

  it('has stopped after a reload', () => {
    const turns = interrupted([{ id: '1', prompt: 'one', answers: [answered('half', { state: 'streaming' }), null] }]);
    expect(turns[0]?.answers[0]).toMatchObject({ text: 'half', state: 'stopped' });
  });
});

describe('the tokens of a text', () => {
  it('are those that the text shows: no stop string, no end, no space that was taken off', () => {
    const shown = visibleTokens('Hello the', [token(' Hello'), token(' there'), token('<end>')]);
    expect(shown.map(({ text }) => text)).toEqual(['Hello', ' the']);
  });
});

describe('what is kept', () => {
  const turns: Turns = ['1', '2', '3'].map((id) => ({ id, prompt: id, answers: [answered('text '.repeat(20))] }));

  it('loses the oldest probabilities first, then the oldest turns', () => {
    const whole = JSON.stringify(turns).length;
    const lighter: Turns = JSON.parse(fitting(turns, whole - 1));
    expect(lighter.map(({ answers }) => answers[0]?.tokens.length)).toEqual([0, 1, 1]);
    expect(lighter.map(({ answers }) => answers[0]?.text)).toEqual(turns.map(({ answers }) => answers[0]?.text));
    const shorter: Turns = JSON.parse(fitting(turns, whole / 3));
    expect(shorter.map(({ id }) => id)).toEqual(['3']);
    expect(fitting(turns, whole)).toHaveLength(whole);
  });
});
