/** Which family a template belongs to, and its special tokens. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Tokenizer } from '@slipway/shared/text/contract.ts';
import { StreamDecoder } from '@slipway/shared/text/stream-decoder.ts';
import { describe, expect, it } from 'vitest';
import { HERMES, LLAMA, MISTRAL, markerTokens, PLAIN, toolSyntaxOf } from './tool-syntax.ts';

describe('the family', () => {
  it.each([
    ['<tool_call>{{ call | tojson }}</tool_call>', HERMES],
    ['<tool_call><function={{ name }}></function></tool_call>', undefined],
    ['<tool_call>{{ name }}<arg_key>{{ key }}</arg_key></tool_call>', undefined],
    ['[TOOL_CALLS][{{ calls }}]', MISTRAL],
    ['[TOOL_CALLS]{{ name }}[ARGS]{{ arguments }}', undefined],
    ['<|python_tag|>{{ call }}', LLAMA],
    ["{%- if message.role == 'ipython' %}{{- '\"parameters\": ' }}", LLAMA],
    ['{{ messages[0].content }}', undefined],
  ])('of %j', (template, syntax) => {
    expect(toolSyntaxOf(template)).toBe(syntax);
  });

  const folder = resolve(import.meta.dirname, '../../../../../shared/data/templates/jinja');
  const missing = existsSync(folder) ? '' : ' (skipped: no ../shared)';
  it.skipIf(missing)(`of templates as they are published${missing}`, () => {
    const familyOf = (file: string) => toolSyntaxOf(readFileSync(join(folder, `${file}.jinja`), 'utf8'));
    expect(familyOf('Qwen-Qwen3-0.6B')).toBe(HERMES);
    expect(familyOf('Qwen-Qwen2.5-7B-Instruct')).toBe(HERMES);
    expect(familyOf('NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use')).toBe(HERMES);
    expect(familyOf('meta-llama-Llama-3.2-3B-Instruct')).toBe(LLAMA);
    expect(familyOf('mistralai-Mistral-Nemo-Instruct-2407')).toBe(MISTRAL);
    expect(familyOf('google-gemma-2-2b-it')).toBeUndefined();
    expect(familyOf('microsoft-Phi-3.5-mini-instruct')).toBeUndefined();
  });
});

/** Bytes, and two markers: a special token and one that is text. */
const tokenizer: Tokenizer = {
  vocabularySize: 258,
  encode(text) {
    if (text === LLAMA.marker) return [256];
    return text === HERMES.marker ? [257] : [...Buffer.from(text)];
  },
  decode: (tokens) => Buffer.from(tokens.flatMap((token) => [...tokenizer.bytesOf(token)])).toString(),
  bytesOf: (token) => (token < 256 ? Uint8Array.of(token) : Buffer.from(token === 257 ? '<tool_call>' : '')),
  pieceOf: (token) => (token === 256 ? '<|python_tag|>' : tokenizer.decode([token])),
};

describe('a marker', () => {
  it('that is a special token is shown, and only then', () => {
    expect(markerTokens(LLAMA, tokenizer)).toEqual(new Set([256]));
    expect(markerTokens(HERMES, tokenizer)).toEqual(new Set());
    expect(markerTokens(MISTRAL, tokenizer)).toEqual(new Set());
    expect(markerTokens(PLAIN, tokenizer)).toEqual(new Set());
  });

  it('is in the text where it is shown', () => {
    const read = (shown: ReadonlySet<number> | undefined) => {
      const decoder = new StreamDecoder(tokenizer, [], { shown });
      return [97, 256, 98].map((token) => decoder.push(token).text).join('') + decoder.end();
    };
    expect(read(markerTokens(LLAMA, tokenizer))).toBe('a<|python_tag|>b');
    expect(read(undefined)).toBe('ab');
  });
});
