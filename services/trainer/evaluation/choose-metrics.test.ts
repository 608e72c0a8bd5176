/** Which metrics are told of which samples, and what is said of those that are not. */
import { METRICS, type Metric } from '@slipway/shared/contracts/evaluation.ts';
import { expect, it } from 'vitest';
import { chooseMetrics } from './choose-metrics.ts';
import type { Question, Sample } from './read-samples.ts';

const sample = (question: Question): Sample => ({ place: 'data:1', question, reference: 'Yes.' });
const text = sample({ kind: 'text', before: '' });
const asked = sample({ kind: 'completion', prompt: 'Really?' });
const LIKELIHOOD = ['perplexity', 'bits_per_byte'] as const;

it.each<[string, readonly Metric[] | null, Sample[], readonly Metric[], RegExp[]]>([
  ['of questions all', null, [asked], METRICS, []],
  ['of text those without answers', null, [text], LIKELIHOOD, [/left out. They need questions with their answers/]],
  ['of text what was named', ['perplexity'], [text], ['perplexity'], []],
  ['of both all', null, [text, asked, asked], METRICS, [/^1 of the 3 .* plain text.* of the other 2\.$/]],
  ['of both what was named', ['bleu'], [text, asked], ['bleu'], [/^1 of the 2 /]],
])('are %s', (_, wanted, samples, metrics, notes) => {
  expect(chooseMetrics(wanted, samples)).toEqual({ metrics, notes: notes.map((note) => expect.stringMatching(note)) });
});

it('that were named and compare answers are refused of text', () => {
  expect(() => chooseMetrics(['perplexity', 'bleu'], [text])).toThrow(/^bleu: these compare answers/);
});
