import { describe, expect, test } from 'vitest';
import { convertRecord } from './convert-record.ts';
import type { FormatName } from './format.ts';
import { describeColumns, suggestColumns } from './suggest-columns.ts';

const convert = (value: unknown, columns: Record<string, string> = {}, format: FormatName | 'auto' = 'auto') =>
  convertRecord(value, { format, columns });

const ask = (content: string) => ({ role: 'user', content });
const answer = (content: string) => ({ role: 'assistant', content });

describe('each format is known by its fields', () => {
  test.each<[FormatName, unknown, unknown]>([
    ['text', { text: 'a\r\nb' }, { text: 'a\nb' }],
    ['messages', { messages: [ask('a'), answer('b'), ask('c')] }, { messages: [ask('a'), answer('b')] }],
    [
      'sharegpt',
      {
        conversations: [
          { from: 'human', value: 'a' },
          { from: 'gpt', value: 'b' },
        ],
        system: 's',
      },
      { messages: [{ role: 'system', content: 's' }, ask('a'), answer('b')] },
    ],
    ['chat', { user: 'a', assistant: 'b' }, { messages: [ask('a'), answer('b')] }],
    ['alpaca', { instruction: 'a', input: '', output: 'b' }, { messages: [ask('a'), answer('b')] }],
    [
      'alpaca',
      { instruction: 'a', input: 'i', output: 'b', history: [['x', 'y']] },
      { messages: [ask('x'), answer('y'), ask('a\n\ni'), answer('b')] },
    ],
    ['qa', { question: 'a', answer: 7 }, { messages: [ask('a'), answer('7')] }],
    ['prompt-completion', { prompt: 'a ', completion: ' b' }, { prompt: 'a ', completion: ' b' }],
    [
      'prompt-completion',
      { prompt: [ask('a'), answer('x'), ask('b')], completion: [answer('y')] },
      { messages: [ask('a'), answer('x'), ask('b'), answer('y')], trained_turns: [3] },
    ],
  ])('%s', (format, record, example) => {
    expect(convert(record)).toEqual({ kind: 'example', format, example });
  });

  test('typed parts: reasoning and tool calls of one message', () => {
    const parts = [
      { type: 'reasoning', value: 'hm' },
      { type: 'text', value: 'Look:' },
      { type: 'tool_call', value: '{"name": "f", "arguments": {"a": 1}}' },
    ];
    expect(convert({ messages: [ask('a'), { role: 'assistant', content: parts }] })).toMatchObject({
      example: {
        messages: [
          ask('a'),
          {
            ...answer('Look:'),
            reasoning_content: 'hm',
            tool_calls: [{ type: 'function', function: { name: 'f', arguments: { a: 1 } } }],
          },
        ],
      },
    });
  });
});

describe('what cannot be learnt from says why', () => {
  test.each<[unknown, string]>([
    [7, 'not an object with fields'],
    [{ user: 'a', assistant: ' \n' }, 'assistant is empty'],
    [{ instruction: 'a', output: null }, 'output is missing'],
    [{ messages: [ask('a')] }, 'no message of the assistant'],
    [{ messages: [answer('a')] }, 'nothing is asked'],
    [{ messages: [ask('a'), answer('')] }, 'messages[1]: the answer is empty'],
    [{ messages: [ask('a'), { role: 'narrator', content: 'b' }] }, 'messages[1]: '],
    [{ messages: 'many' }, 'messages is a string that is no JSON'],
    [{ messages: [ask('a'), answer('b')], label: false }, 'label is false'],
    [
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }, answer('b')] },
      'messages[0]: a part of type image_url',
    ],
    [{ conversations: [{ from: 'human', value: 'a' }], chosen: {}, rejected: {} }, 'preference training'],
    [{ a: 1, b: 2 }, 'of no known format: its fields are "a", "b"'],
  ])('%j', (record, reason) => {
    expect(convert(record)).toMatchObject({ kind: 'bad', reason: expect.stringContaining(reason) });
  });

  test('a record of another format than the one asked for', () => {
    expect(convert({ user: 'a', assistant: 'b' }, {}, 'alpaca')).toMatchObject({
      kind: 'bad',
      reason: expect.stringContaining('no alpaca example, but one of chat: its fields are'),
    });
  });
});

describe('mapped columns', () => {
  test('by name and by path', () => {
    const seed = { id: 1, instruction: 'a', instances: [{ input: '', output: 'b' }] };
    expect(convert(seed)).toMatchObject({ kind: 'bad' });
    const columns = { instruction: 'instruction', input: 'instances.0.input', output: 'instances.0.output' };
    expect(convert(seed, columns)).toMatchObject({ format: 'alpaca', example: { messages: [ask('a'), answer('b')] } });
    expect(convert({ other: 1 }, columns)).toMatchObject({
      reason: expect.stringContaining('there is no field "instruction"'),
    });
  });

  test('say what a record is, whatever else it holds', () => {
    const pair = {
      conversations: [{ from: 'human', value: 'a' }],
      chosen: { from: 'gpt', value: 'b' },
      rejected: { from: 'gpt', value: 'c' },
    };
    const columns = suggestColumns(pair);
    expect(columns).toEqual({ prompt: 'conversations', completion: 'chosen' });
    expect(convert(pair, columns)).toMatchObject({
      format: 'prompt-completion',
      example: { messages: [ask('a'), answer('b')] },
    });
  });

  test('are suggested', () => {
    expect(suggestColumns({ id: 1, instruction: 'a', instances: [{ input: 'i', output: 'b' }] })).toEqual({
      instruction: 'instruction',
      input: 'instances.0.input',
      output: 'instances.0.output',
    });
    expect(suggestColumns({ Query: 'a', 'The Response': 'b' })).toEqual({ question: 'Query', answer: 'The Response' });
    expect(suggestColumns({ ticket: 1, customer_message: 'a', agent_reply: 'b', tags: ['x'] })).toEqual({
      question: 'customer_message',
      answer: 'agent_reply',
    });
    expect(suggestColumns({ Datum: '1.2.', Frage: 'Wie lange?', Antwort: 'Drei Tage.' })).toEqual({
      question: 'Frage',
      answer: 'Antwort',
    });
    expect(suggestColumns({ chat: [{ role: 'user', content: 'a' }] })).toEqual({ messages: 'chat' });
    expect(suggestColumns({ q: 'a', a: 'b' })).toEqual({ question: 'q', answer: 'a' });
    expect(suggestColumns({ n: 1, story_text: 'long' })).toEqual({ text: 'story_text' });
    expect(suggestColumns({ n: 1 })).toBeUndefined();
    expect(suggestColumns({ id: 'a', turns: [{ speaker: 'customer', text: 'a' }] })).toBeUndefined();
    expect(suggestColumns({ title: 'a', mapping: { b: { message: { role: 'user' } } } })).toBeUndefined();
    expect(describeColumns({ prompt: 'The Question' })).toBe('columns: { prompt: "The Question" }');
  });
});
