/**
 * Prompts as token ids: real text, the same in every run and for every contestant.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Tokenizer } from '@slipway/shared/text/contract.ts';

const TEXTS = join(import.meta.dirname, '..', 'services', 'converter', 'parity', 'text');

/** `make(length, n)` gives the n-th prompt of a length; different n begin at different places of the text. */
export async function promptMaker(tokenizer: Tokenizer): Promise<(length: number, n?: number) => number[]> {
  const texts = await Promise.all(['calibration.txt', 'parity.txt'].map((name) => readFile(join(TEXTS, name), 'utf8')));
  const ids = tokenizer.encode(texts.join('\n'), { addBos: false, parseSpecial: false });
  return (length, n = 0) => Array.from({ length }, (_, index) => ids[(n * 211 + index) % ids.length] ?? 0);
}
