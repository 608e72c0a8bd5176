/**
 * A tokenizer's statistics as rows for people. Pure.
 */
import type { TokenizerStatistics } from '@slipway/trainer/tokenizer-statistics';
import { humanBytes } from '../human-units.ts';

const SHOWN_PIECES = 12;

export function statisticsRows(statistics: TokenizerStatistics): string[][] {
  const { corpus, measured_on } = statistics;
  const files = corpus.files === 1 ? '1 file' : `${corpus.files} files`;
  const sample = corpus.sampled_bytes === null ? '' : `, learnt from a sample of ${humanBytes(corpus.sampled_bytes)}`;
  const pieces = (named: TokenizerStatistics['longest']) =>
    named
      .slice(0, SHOWN_PIECES)
      .map(({ piece }) => JSON.stringify(piece))
      .join(' ');
  return [
    ['trained on', `${humanBytes(corpus.bytes)} in ${files}${sample}`],
    [
      'measured on',
      measured_on === 'holdout'
        ? `${statistics.characters} characters held out`
        : `${statistics.characters} characters that were learnt from: nothing was held out`,
    ],
    ['per character', `${statistics.tokens_per_character.toFixed(3)} tokens`],
    ['per word', `${statistics.tokens_per_word.toFixed(3)} tokens`],
    ['coverage', `${percent(statistics.coverage)} of the characters have a token`],
    ['unknown', `${percent(statistics.oov_rate)} of the tokens`],
    ['used', `${statistics.vocabulary_used} of ${statistics.vocabulary_size} tokens`],
    ['most frequent', pieces(statistics.most_frequent)],
    ['longest', pieces(statistics.longest)],
  ];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share === 0 || share === 1 ? 0 : 3)} %`;
}
