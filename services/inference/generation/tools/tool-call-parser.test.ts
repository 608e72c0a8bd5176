/** Calls of tools read back, with every place at which the text can be split. */
import { describe, expect, it } from 'vitest';
import { ToolCallParser, type ToolCallParserOptions } from './tool-call-parser.ts';
import { HERMES, LLAMA, MISTRAL, PLAIN, type ToolSyntax } from './tool-syntax.ts';

interface Read {
  content: string;
  calls: { name: string; arguments: string }[];
  whole: number;
}

function read(pieces: readonly string[], options: Partial<ToolCallParserOptions> & { syntax: ToolSyntax }): Read {
  const parser = new ToolCallParser({
    names: new Set(['weather', 'time']),
    mostCalls: Number.POSITIVE_INFINITY,
    isBare: options.syntax.isBare,
    isForced: false,
    holds: false,
    ...options,
  });
  const result: Read = { content: '', calls: [], whole: 0 };
  for (const event of [...pieces.flatMap((piece) => parser.push(piece)), ...parser.end()]) {
    if (event.type === 'content') result.content += event.text;
    else if (event.type === 'call') result.calls.push({ name: event.name, arguments: '' });
    else {
      const call = result.calls.at(-1);
      if (call === undefined) throw new Error('arguments before any call');
      call.arguments += event.text;
    }
  }
  return { ...result, whole: parser.wholeCalls };
}

/** Every way of cutting it in two, and character by character. */
function splits(text: string): string[][] {
  const inTwo = Array.from({ length: text.length + 1 }, (_, at) => [text.slice(0, at), text.slice(at)]);
  return [...inTwo, [...text]];
}

const call = (name: string, json: string) => ({ name, arguments: json });
const PARIS = '{"city": "Paris {\\"[\\\\", "days": [1, {"a": null}]}';
const asHermes = (name: string, json: string) => `<tool_call>\n{"name": "${name}", "arguments": ${json}}\n</tool_call>`;

describe.each<[string, ToolSyntax, string, Omit<Read, 'whole'>]>([
  ['a call', HERMES, asHermes('weather', PARIS), { content: '', calls: [call('weather', PARIS)] }],
  [
    'text and two calls',
    HERMES,
    `Let me see. \n${asHermes('weather', PARIS)}\n${asHermes('time', '{}')}\n`,
    { content: 'Let me see.', calls: [call('weather', PARIS), call('time', '{}')] },
  ],
  [
    'text behind a call',
    HERMES,
    `${asHermes('time', '{}')}\n\nDone <b>`,
    { content: 'Done <b>', calls: [call('time', '{}')] },
  ],
  [
    'a call that is not closed',
    HERMES,
    '<tool_call>{"name":"time","arguments":{"a":1}}',
    { content: '', calls: [call('time', '{"a":1}')] },
  ],
  [
    'a call whose properties stand in another order',
    HERMES,
    '<tool_call>{"arguments": {"a": "}"}, "name": "time"}</tool_call>',
    { content: '', calls: [call('time', '{"a":"}"}')] },
  ],
  [
    'arguments as a string, and none at all',
    HERMES,
    '<tool_call>{"name": "time", "arguments": "{\\"a\\": 1}"}</tool_call><tool_call>{"name": "time"}</tool_call>',
    { content: '', calls: [call('time', '{"a":1}'), call('time', '{}')] },
  ],
  [
    'a further property behind the arguments',
    HERMES,
    '<tool_call>{"name": "time", "arguments": {"a": 1}, "id": "}"}</tool_call>',
    { content: '', calls: [call('time', '{"a": 1}')] },
  ],
  [
    'a call of a tool that there is not',
    HERMES,
    `a ${asHermes('rain', '{}')} b`,
    { content: `a ${asHermes('rain', '{}')} b`, calls: [] },
  ],
  [
    'a marker with something else behind it, and then a call',
    HERMES,
    `x <tool_call>get it</tool_call> ${asHermes('time', '{}')}`,
    { content: 'x <tool_call>get it</tool_call>', calls: [call('time', '{}')] },
  ],
  ['half a marker at the end', HERMES, 'a < b <tool_ca', { content: 'a < b <tool_ca', calls: [] }],
  ['spaces', HERMES, ' \n a \n', { content: ' \n a \n', calls: [] }],
  ['nothing', HERMES, '', { content: '', calls: [] }],
  [
    'a bare call',
    LLAMA,
    `\n{"name": "weather", "parameters": ${PARIS}}`,
    { content: '', calls: [call('weather', PARIS)] },
  ],
  [
    'several, divided in both ways, behind a marker',
    LLAMA,
    'Well <|python_tag|>{"name": "time", "parameters": {}}; {"name": "time", "parameters": {"a": 1}}\n{"name": "time", "parameters": {}}',
    { content: 'Well', calls: [call('time', '{}'), call('time', '{"a": 1}'), call('time', '{}')] },
  ],
  ['JSON that is no call', LLAMA, '{"name": "Bob", "age": 3}', { content: '{"name": "Bob", "age": 3}', calls: [] }],
  ['JSON in the text', LLAMA, 'It is {"name": "time"', { content: 'It is {"name": "time"', calls: [] }],
  ['code', LLAMA, '<|python_tag|>print(1)', { content: '<|python_tag|>print(1)', calls: [] }],
  [
    'a list',
    MISTRAL,
    `[TOOL_CALLS] [{"name": "weather", "arguments": ${PARIS}}, {"name": "time", "arguments": {}}]`,
    { content: '', calls: [call('weather', PARIS), call('time', '{}')] },
  ],
  ['a list of nothing', MISTRAL, '[TOOL_CALLS] []', { content: '[TOOL_CALLS] []', calls: [] }],
  ['no marker at all', PLAIN, '{"name": "time", "arguments": {}}', { content: '', calls: [call('time', '{}')] }],
])('%s', (_, syntax, text, expected) => {
  it('is read the same wherever it is split', () => {
    for (const pieces of splits(text)) {
      for (const holds of [false, true]) {
        expect(read(pieces, { syntax, holds }), JSON.stringify(pieces)).toEqual({
          ...expected,
          whole: expected.calls.length,
        });
      }
    }
  });
});

describe('arguments', () => {
  it('are told as they come, behind the name', () => {
    const parser = new ToolCallParser({
      syntax: HERMES,
      names: new Set(['time']),
      mostCalls: 9,
      isBare: false,
      isForced: false,
      holds: false,
    });
    expect(parser.push('<tool_call>{"name": "time", "arg')).toEqual([]);
    expect(parser.push('uments": {"a')).toEqual([
      { type: 'call', name: 'time' },
      { type: 'arguments', text: '{"a' },
    ]);
    expect(parser.push('": [')).toEqual([{ type: 'arguments', text: '": [' }]);
    expect(parser.push(']}}')).toEqual([{ type: 'arguments', text: ']}' }]);
  });
});

describe('a call that breaks', () => {
  const broken = '<tool_call>{"name": "time", "arguments": {"a": b}}</tool_call>';
  const open = '<tool_call>{"name": "time", "arguments": {"a": "b</tool_call>';

  it('is text where calls are held until they are whole, and what follows is read', () => {
    for (const text of [broken, open]) {
      for (const pieces of splits(`${text}\n${asHermes('weather', '{}')}`)) {
        expect(read(pieces, { syntax: HERMES, holds: true })).toEqual({
          content: text,
          calls: [call('weather', '{}')],
          whole: 1,
        });
      }
    }
  });

  it('is text also when there are very many', () => {
    const text = '<tool_call>{'.repeat(1000);
    expect(read([text], { syntax: HERMES, holds: true })).toEqual({ content: text, calls: [], whole: 0 });
  });

  it('stays broken where it has been told, and is not counted', () => {
    for (const pieces of splits(`${broken}\nSorry`)) {
      const { content, calls, whole } = read(pieces, { syntax: HERMES });
      expect([content, calls, whole]).toEqual(['Sorry', [call('time', '{"a": b}')], 0]);
    }
  });
});

describe('a model that has no choice', () => {
  it('needs no marker, and what is cut is no text', () => {
    const text = '[{"name": "time", "arguments": {"a": 1}}, {"name": "ti';
    for (const pieces of splits(text)) {
      expect(read(pieces, { syntax: MISTRAL, isBare: true, isForced: true })).toEqual({
        content: '',
        calls: [call('time', '{"a": 1}')],
        whole: 1,
      });
    }
  });
});

it('leaves out what comes after as many calls as are allowed', () => {
  for (const pieces of splits(`${asHermes('time', '{}')}${asHermes('weather', '{}')} and so on`)) {
    expect(read(pieces, { syntax: HERMES, mostCalls: 1 })).toEqual({
      content: '',
      calls: [call('time', '{}')],
      whole: 1,
    });
  }
});
