/**
 * A guess at which fields of an unknown record could be mapped to which of ours, for an error to suggest. Pure.
 */
import { type Fields, isFields } from './format.ts';

const ASKS = [
  'instruction',
  'prompt',
  'question',
  'query',
  'problem',
  'user',
  'input',
  'source',
  'article',
  'document',
  'context',
  'title',
  'human',
  'q',
];
const ANSWERS = [
  'output',
  'completion',
  'answer',
  'response',
  'reply',
  'solution',
  'target',
  'assistant',
  'summary',
  'highlights',
  'chosen',
  'bot',
  'a',
];
const TEXTS = ['text', 'content', 'body', 'sentence', 'paragraph', 'passage', 'story', 'code'];

/** Our field -> the path of theirs; undefined when no mapping would say what such a record means. */
export function suggestColumns(fields: Fields): Readonly<Record<string, string>> | undefined {
  const texts = textPaths(fields, '', 0);
  if ('chosen' in fields && typeof fields.chosen !== 'string') {
    const before = ['prompt', 'conversations', 'messages'].find((name) => name in fields);
    return before === undefined ? { messages: 'chosen' } : { prompt: before, completion: 'chosen' };
  }
  const conversation = Object.entries(fields).find(([, value]) => looksLikeMessages(value));
  if (conversation) return { messages: conversation[0] };
  const find = (words: readonly string[], without: readonly (string | undefined)[] = []) => {
    for (const word of words) {
      const isMeant = (name: string) => (word.length === 1 ? name === word : name.includes(word));
      const found = texts.find(({ path }) => isMeant(lastPart(path)) && !without.includes(path));
      if (found) return found.path;
    }
    return undefined;
  };
  const answer = find(ANSWERS);
  const ask = find(ASKS, [answer]);
  const input = texts.find(({ path }) => lastPart(path) === 'input' && path !== ask)?.path;
  if (ask !== undefined && answer !== undefined) {
    return input === undefined ? { question: ask, answer } : { instruction: ask, input, output: answer };
  }
  // Structure that is not understood: one text out of it would be learnt, and the rest of it lost without a word.
  if (Object.values(fields).some(holdsFields)) return undefined;
  const text = answer === undefined ? find(TEXTS) : undefined;
  if (text !== undefined) return { text };
  const longest = texts.toSorted((a, b) => b.length - a.length).map(({ path }) => path);
  if (answer !== undefined) {
    const question = longest.find((path) => path !== answer);
    return question === undefined ? { text: answer } : { question, answer };
  }
  const [first, second] = texts.map(({ path }) => path).filter((path) => longest.slice(0, 2).includes(path));
  if (first === undefined) return undefined;
  return second === undefined ? { text: first } : { question: first, answer: second };
}

/** As a recipe writes it. */
export function describeColumns(columns: Readonly<Record<string, string>>): string {
  return `columns: { ${Object.entries(columns)
    .map(([ours, theirs]) => `${ours}: ${/^[\w.]+$/.test(theirs) ? theirs : JSON.stringify(theirs)}`)
    .join(', ')} }`;
}

function textPaths(value: unknown, path: string, depth: number): { path: string; length: number }[] {
  if (typeof value === 'string') return path === '' ? [] : [{ path, length: value.length }];
  if (depth > 3 || typeof value !== 'object' || value === null) return [];
  const entries = Array.isArray(value) ? [...value.slice(0, 1).entries()] : Object.entries(value);
  return entries.flatMap(([key, inner]) => textPaths(inner, path === '' ? String(key) : `${path}.${key}`, depth + 1));
}

function lastPart(path: string): string {
  return (path.split('.').at(-1) ?? '').toLowerCase();
}

function holdsFields(value: unknown): boolean {
  return isFields(value) || (Array.isArray(value) && value.some(isFields));
}

function looksLikeMessages(value: unknown): boolean {
  const [first]: unknown[] = Array.isArray(value) ? value : [];
  return isFields(first) && ('role' in first || 'from' in first) && ('content' in first || 'value' in first);
}
