import { expect, it } from 'vitest';
import { TokenReader } from './token.ts';

const bytesOf = (text: string) => [...new TextEncoder().encode(text)];

it('makes one token of those that share a character, as improbable as all of them', () => {
  const [one = 0, ...rest] = bytesOf('⚓');
  const reader = new TokenReader();
  const tokens = reader.chat({
    content: [
      { token: ' a', logprob: -1, bytes: bytesOf(' a'), top_logprobs: [{ token: ' b', logprob: -2 }] },
      { token: '�', logprob: -0.5, bytes: [one], top_logprobs: [] },
      { token: '�', logprob: -0.25, bytes: rest, top_logprobs: [] },
      { token: '!', logprob: 0, bytes: bytesOf('!'), top_logprobs: [] },
    ],
  });
  expect(tokens).toEqual([
    { text: ' a', logprob: -1, top: [{ text: ' b', logprob: -2 }] },
    { text: '⚓', logprob: -0.75, top: [] },
    { text: '!', logprob: 0, top: [] },
  ]);
});

it('reads the older form, the most probable alternative first', () => {
  const tokens = new TokenReader().legacy({
    tokens: ['Once', '', ' upon'],
    token_logprobs: [null, -1, -0.123456],
    top_logprobs: [null, null, { ' a': -3, ' upon': -0.123456 }],
  });
  expect(tokens).toEqual([
    {
      text: ' upon',
      logprob: -0.1235,
      top: [
        { text: ' upon', logprob: -0.1235 },
        { text: ' a', logprob: -3 },
      ],
    },
  ]);
});
