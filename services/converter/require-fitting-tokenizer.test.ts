import { expect, test } from 'vitest';
import type { Checkpoint } from './checkpoint.ts';
import { requireFittingTokenizer } from './require-fitting-tokenizer.ts';

function checkpoint(tokenizerJson: unknown): Pick<Checkpoint, 'label' | 'text'> {
  return {
    label: 'folder',
    text: {
      tokenizerJson,
      tokenizerConfig: {},
      chatTemplate: null,
      bosTokenId: null,
      eosTokenIds: [],
      addBos: false,
      generationConfig: {},
    },
  };
}

test.each([
  ['pieces by name', { model: { vocab: { a: 0, b: 1, c: 2 } } }, '"c" with id 2'],
  ['pieces with scores', { model: { vocab: Object.entries({ a: -1, b: -2, c: -3 }) } }, '"c" with id 2'],
  ['added tokens', { model: { vocab: { a: 0 } }, added_tokens: [{ id: 2, content: '<x>' }] }, '"<x>" with id 2'],
])('%s beyond the embedding are refused, up to it they are not', (_, json, named) => {
  requireFittingTokenizer(checkpoint(json), 3);
  expect(() => requireFittingTokenizer(checkpoint(json), 2)).toThrow(
    expect.objectContaining({ code: 'invalid_source', message: expect.stringContaining(named) }),
  );
});
