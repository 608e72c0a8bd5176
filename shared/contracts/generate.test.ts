import { describe, expect, it } from 'vitest';
import { generateRequestParser } from './generate.ts';

const parse = generateRequestParser({ maxNewTokens: 512, defaultMaxNewTokens: 64 });

describe('generateRequestParser', () => {
  it('fills in the defaults', () => {
    expect(parse({ prompt: 'hi' })).toEqual({
      prompt: 'hi',
      max_new_tokens: 64,
      temperature: 0.7,
      top_k: 0,
      top_p: 1,
      min_p: 0,
      repetition_penalty: 1,
      seed: undefined,
      stop: [],
      stop_on_eos: true,
      ignore_eos: false,
      num_return_sequences: 1,
      logprobs: undefined,
      stream: false,
      model: undefined,
      min_new_tokens: 0,
      presence_penalty: 0,
      frequency_penalty: 0,
      think_penalty: 0,
      post_stop: [],
      post_stop_penalty: 5,
      logit_bias: {},
      bad_words: [],
      stop_token_ids: [],
      prompt_logprobs: undefined,
      response_format: undefined,
    });
  });

  it('takes null as not given, one stop string as a list, token ids as a prompt', () => {
    expect(parse({ prompt: [1, 2], stop: '\n', seed: null })).toMatchObject({
      prompt: [1, 2],
      stop: ['\n'],
      seed: undefined,
    });
  });

  it.each([
    ['max_new_tokens', [1, 512], [0, 513, 1.5, '64', true]],
    ['temperature', [0, 2, 0.3], [-0.1, 2.1, 'hot']],
    ['top_k', [0, 50], [-1, 0.5]],
    ['top_p', [0.01, 1], [0, 1.01]],
    ['min_p', [0, 1], [-0.1, 1.1]],
    ['repetition_penalty', [0.1, 10], [0, 11]],
    ['presence_penalty', [-2, 2], [-2.1, 3]],
    ['frequency_penalty', [-2, 2], [-2.1, 3]],
    ['think_penalty', [0, 100], [-1, 101]],
    ['post_stop_penalty', [0, 100], [-1, 101]],
    ['post_stop', [[], 'a', ['a', 'b']], ['', Array(17).fill('x')]],
    ['bad_words', [[], 'a', Array(64).fill('x')], ['', Array(65).fill('x')]],
    ['min_new_tokens', [0, 512], [-1, 513]],
    ['stop_token_ids', [[], [0, 5]], [[-1], [0.5], 5, Array(65).fill(1)]],
    ['logit_bias', [{}, { 5: -100, 0: 100 }], [[], { a: 1 }, { 5: 101 }, { 5: '1' }, { '-1': 1 }]],
    ['prompt_logprobs', [0, 20], [-1, 21]],
    [
      'response_format',
      [{ type: 'text' }, { type: 'json_object' }, { type: 'json_schema', json_schema: { schema: {} } }],
      ['json', { type: 'xml' }, { type: 'json_schema' }, { type: 'regex', pattern: '' }],
    ],
    ['seed', [0, Number.MAX_SAFE_INTEGER], [-1, 2 ** 53, 0.1]],
    ['stop', [[], 'a', Array(16).fill('x')], ['', [''], Array(17).fill('x'), 'x'.repeat(513), [1], 5]],
    ['stop_on_eos', [true, false], ['yes', 1]],
    ['ignore_eos', [true, false], ['yes', 0]],
    ['num_return_sequences', [1, 10], [0, 11]],
    ['logprobs', [0, 20], [-1, 21, true]],
    ['stream', [true, false], ['true']],
    ['model', ['m'], ['', 7]],
    ['prompt', ['', [], [0]], [1, {}, ['a'], [-1], [0.5], [[1]]]],
  ])('%s: takes what is in its range and says its range otherwise', (field, good, bad) => {
    for (const value of good) expect(() => parse({ prompt: 'p', [field]: value })).not.toThrow();
    for (const value of bad)
      expect(() => parse({ prompt: 'p', [field]: value })).toThrow(new RegExp(`^${field} must be .*, but is `));
  });

  it('takes no new tokens only where the prompt is scored', () => {
    expect(parse({ prompt: 'p', max_new_tokens: 0, prompt_logprobs: 0 }).max_new_tokens).toBe(0);
    expect(() => parse({ prompt: 'p', max_new_tokens: 0 })).toThrow('0 only with prompt_logprobs');
  });

  it('says all that is wrong, and which known field an unknown one resembles', () => {
    expect(() => parse({ max_tokens: 5, temperature: 9 })).toThrow(
      '"max_tokens" is not a known field; did you mean max_new_tokens?; prompt must be a string or an array of token ids (integers from 0), but is missing; temperature must be a number from 0 (greedy) to 2, but is 9',
    );
    expect(() => parse(JSON.parse('{"prompt": "p", "__proto__": null}'))).toThrow(/"__proto__" is not a known field/);
  });

  it('names at most five unknown fields, cut to 64 characters', () => {
    const names = Array.from({ length: 20 }, (_, index) => `${index}${'x'.repeat(index === 0 ? 100_000 : 0)}`);
    const body = Object.fromEntries([['prompt', 'p'], ...names.map((name) => [name, 1])]);
    const { message } = caught(() => parse(body));
    expect(message.match(/is not a known field/g)).toHaveLength(5);
    expect(message.length).toBeLessThan(1000);
    expect(message).not.toContain('undefined');
    const long = caught(() => parse({ prompt: 'p', ['y'.repeat(65)]: 1 })).message;
    expect(long).toBe(`"${'y'.repeat(64)}"... is not a known field`);
  });

  it.each([
    ['unknown fields', `{${Array.from({ length: 700_000 }, (_, index) => `"f${index}":1`).join()}}`],
    ['one long name', `{"${'n'.repeat(8_000_000)}":1}`],
    ['stop strings that are none', `{"prompt":"p","stop":[${'1,'.repeat(3_900_000)}1]}`],
    ['token ids that are none', `{"prompt":[${'1,'.repeat(3_900_000)}"a"]}`],
  ])('says soon what is wrong with 8 MB of %s', (_, json) => {
    const body: unknown = JSON.parse(json);
    const startedAt = performance.now();
    expect(caught(() => parse(body)).message.length).toBeLessThan(1000);
    // A fraction of a second; what took a look at every name took half a minute. The rest is room for a busy machine.
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });

  it('survives bodies that are no object, and nesting without end', () => {
    for (const body of [null, 1, 'a', [1]]) expect(() => parse(body)).toThrow(/the body must be a JSON object/);
    const nested = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
    expect(() => parse({ prompt: nested })).toThrow(/prompt must be .* an array of 1$/);
  });
});

function caught(act: () => unknown): Error {
  try {
    act();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('it was taken');
}
