/**
 * Refuses a tokenizer that has ids which the model has no embedding for: the two were not made for one another. Knows tokenizer.json's
 * shape; what it means is checked where it is loaded.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Checkpoint } from './checkpoint.ts';

/** AppError invalid_source names the highest such token. A vocabulary with ids to spare is common: sizes are rounded up. */
export function requireFittingTokenizer({ label, text }: Pick<Checkpoint, 'label' | 'text'>, vocabSize: number): void {
  const json = asRecord(text.tokenizerJson);
  const vocab = idsOf(asRecord(json.model).vocab);
  const added = Object.values(asRecord(json.added_tokens))
    .map(asRecord)
    .map(({ content, id }) => [String(content), id] as const);
  let highest = { token: '', id: vocabSize - 1 };
  for (const [token, id] of [...vocab, ...added]) {
    if (typeof id === 'number' && id > highest.id) highest = { token, id };
  }
  if (highest.id < vocabSize) return;
  throw new AppError(
    'invalid_source',
    `${label}: its tokenizer has the token ${JSON.stringify(highest.token)} with id ${highest.id}, but the model's vocabulary ends at ${vocabSize - 1}; they are not of one model`,
  );
}

/** Of pieces by name, or (Unigram) of a list of pieces with their scores, whose places are the ids. */
function idsOf(vocab: unknown): (readonly [token: string, id: unknown])[] {
  if (Array.isArray(vocab)) return vocab.map((entry: unknown, id) => [String(Object.values(asRecord(entry))[0]), id]);
  return Object.entries(asRecord(vocab));
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
