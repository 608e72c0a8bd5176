/**
 * An answer beside the wanted one: the words that differ are marked. Pure.
 */
import { diffWordsWithSpace } from 'diff';
import { html, type Markup } from './markup.ts';

/** Finding the shortest difference of what has little in common takes too long, and shows nothing. */
const MOST_EDITS = 400;

export function markedAnswer(answer: string, reference: string): Markup {
  const changes = diffWordsWithSpace(reference.trim(), answer.trim(), { maxEditLength: MOST_EDITS });
  if (changes === undefined) return html`<mark>${answer.trim()}</mark>`;
  return html`${changes
    .filter(({ removed }) => !removed)
    .map(({ value, added }) => (added && value.trim() !== '' ? html`<mark>${value}</mark>` : value))}`;
}
