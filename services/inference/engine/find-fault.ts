/**
 * What keeps a request from ever running. Knows the layout's sizes and nothing of what runs now.
 */
import type { Layout } from '../runtime/layout.ts';
import type { SequenceRequest } from './contract.ts';

/** What is wrong with a request, or undefined. */
export function findFault(
  request: SequenceRequest,
  layout: Pick<Layout, 'contextLength' | 'vocabularySize'>,
): string | undefined {
  const { prompt, sampling } = request;
  if (!Number.isInteger(sampling.seed)) return `the seed ${sampling.seed} is not an integer`;
  if (prompt.length === 0) return 'the prompt is empty; send at least one token';
  if (prompt.length >= layout.contextLength) {
    return `the prompt has ${prompt.length} tokens, but the model's context of ${layout.contextLength} must hold it and a new token`;
  }
  const outside = prompt.find((token) => !(Number.isInteger(token) && token >= 0 && token < layout.vocabularySize));
  return outside === undefined
    ? undefined
    : `token ${outside} of the prompt is not in the vocabulary of ${layout.vocabularySize}`;
}
