/**
 * Alpaca: {instruction, input?, output}, with `system` and `history` as LLaMA-Factory has them. Becomes a conversation; the template says
 * how it is written.
 */
import type { Message } from '../canonical.ts';
import { BadExample, type Format, filledText, has, optionalText } from './format.ts';
import { conversationOf } from './messages.ts';

export const alpaca: Format = {
  name: 'alpaca',
  // Seed tasks have their outputs in `instances`: which to take must be said.
  recognizes: (fields) => has(fields, 'instruction') && (has(fields, 'output') || !has(fields, 'instances')),
  convert(fields) {
    const instruction = filledText(fields, 'instruction');
    const input = optionalText(fields, 'input');
    const system = optionalText(fields, 'system');
    const messages: Message[] = [
      ...(system === undefined ? [] : [{ role: 'system' as const, content: system }]),
      ...historyOf(fields.history),
      { role: 'user', content: input === undefined ? instruction : `${instruction}\n\n${input}` },
      { role: 'assistant', content: filledText(fields, 'output') },
    ];
    return conversationOf(messages);
  },
};

/** Pairs of what was asked and answered before. */
function historyOf(history: unknown): Message[] {
  if (history === undefined || history === null) return [];
  if (!Array.isArray(history)) throw new BadExample('history is no list of pairs');
  return history.flatMap((pair: unknown) => {
    if (!Array.isArray(pair) || pair.length !== 2 || !pair.every((text) => typeof text === 'string')) {
      throw new BadExample('history is no list of pairs');
    }
    return [
      { role: 'user' as const, content: String(pair[0]) },
      { role: 'assistant' as const, content: String(pair[1]) },
    ];
  });
}
