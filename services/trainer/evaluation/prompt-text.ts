/**
 * What a sample asks, as people read it. Pure.
 */
import type { Question } from './read-samples.ts';

const SHOWN_BEFORE = 200;

export function promptText(question: Question): string {
  if (question.kind === 'completion') return question.prompt;
  if (question.kind === 'text') return question.before === '' ? '' : `… ${question.before.slice(-SHOWN_BEFORE)}`;
  const { messages } = question;
  const [only] = messages;
  if (messages.length === 1 && only?.role === 'user') return only.content;
  return messages.map(({ role, content }) => `${role}: ${content ?? ''}`).join('\n');
}
