/** What is asked of data in every format, and what is wanted. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { promptText } from './prompt-text.ts';
import { readSamples } from './read-samples.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-samples-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function read(name: string, content: string, limit: number | null = null) {
  writeFileSync(join(folder, name), content);
  const { signal } = new AbortController();
  const format = 'auto' as const;
  return readSamples({ sources: [join(folder, name)], format, columns: {}, limit, cacheFolder: folder, signal });
}

const lines = (...records: object[]) => records.map((record) => `${JSON.stringify(record)}\n`).join('');

describe('samples', () => {
  it('of a conversation want its last answer, and ask with all before it', async () => {
    const messages = [
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello.' },
      { role: 'user', content: 'Bye' },
      { role: 'assistant', content: 'See you.' },
    ];
    const { samples } = await read('chat.jsonl', lines({ messages }));
    expect(samples).toMatchObject([
      {
        place: 'chat.jsonl:1',
        reference: 'See you.',
        question: { kind: 'conversation', messages: messages.slice(0, 4) },
      },
    ]);
    expect(samples.map(({ question }) => promptText(question))).toEqual([
      'system: Be short.\nuser: Hi\nassistant: Hello.\nuser: Bye',
    ]);
  });

  it('are read from completions, questions and Alpaca, without leaving out what comes twice', async () => {
    const { samples } = await read(
      'mixed.jsonl',
      lines(
        { prompt: 'one', completion: ' two' },
        { prompt: 'one', completion: ' two' },
        { question: 'Who?', answer: 'Me.' },
        { instruction: 'Add.', input: '1 and 2', output: '3' },
      ),
    );
    expect(samples.map(({ reference }) => reference)).toEqual([' two', ' two', 'Me.', '3']);
    expect(samples.map(({ question }) => question.kind)).toEqual([
      'completion',
      'completion',
      'conversation',
      'conversation',
    ]);
  });

  it('that are none are counted and told, and only so many are taken as are asked for', async () => {
    const call = {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }],
    };
    const all = lines(
      { nothing: 'known' },
      { messages: [{ role: 'user', content: 'Call it' }, call] },
      { prompt: 'a', completion: 'b' },
      { prompt: 'c', completion: 'd' },
    );
    const { samples, data } = await read('some.jsonl', all, 1);
    expect(samples.map(({ reference }) => reference)).toEqual(['b']);
    expect(data.rejected.first.map(({ line }) => line)).toEqual([1, 2]);
    expect(data.files).toMatchObject([
      { name: 'some.jsonl', bytes: all.length, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    ]);
  });

  it('of a long text are pieces that make it up again, each with what was before it', async () => {
    const text = 'Ein Stück 🌊 Text. '.repeat(12_000);
    const { samples } = await read('long.txt', text);
    expect(samples.length).toBeGreaterThan(3);
    expect(samples.map(({ reference }) => reference).join('')).toBe(text);
    let before = '';
    for (const { question, reference } of samples) {
      if (question.kind !== 'text') throw new Error('a text asks nothing');
      expect(before.endsWith(question.before)).toBe(true);
      expect(question.before.length > 8000 || before === '').toBe(true);
      expect(reference.isWellFormed() && question.before.isWellFormed()).toBe(true);
      expect(reference.length + question.before.length).toBeLessThanOrEqual(65_536);
      before += reference;
    }
  });

  it('of a short text are as many that versions can be told apart by them', async () => {
    const { samples } = await read('short.txt', 'A word and another. '.repeat(1500));
    expect(samples.length).toBeGreaterThanOrEqual(10);
  });

  it('that are nowhere: it is said why', async () => {
    await expect(read('bad.jsonl', lines({ nothing: 'known' }))).rejects.toMatchObject({
      code: 'invalid_source',
      message: expect.stringMatching(/there is nothing to ask; bad\.jsonl, line 1: of no known format/),
    });
  });
});
