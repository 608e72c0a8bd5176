/**
 * A tokenizer's bytes as the engine wants them, made once for each tokenizer and in slices, so that nothing else waits for it.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Tokenizer } from '@slipway/shared/text/contract.ts';
import type { TokenTable } from '../engine/contract.ts';

const tables = new WeakMap<Tokenizer, Promise<TokenTable>>();

/** Tokens between two turns of the event loop: some five milliseconds. */
const SLICE = 8192;

/** Of the ids below `vocabularySize`; those that the tokenizer does not know have no bytes. */
export function tokenTableOf(tokenizer: Tokenizer, vocabularySize: number): Promise<TokenTable> {
  const known = tables.get(tokenizer) ?? makeTable(tokenizer, vocabularySize);
  tables.set(tokenizer, known);
  return known;
}

async function makeTable(tokenizer: Tokenizer, vocabularySize: number): Promise<TokenTable> {
  const pieces: Uint8Array[] = [];
  const ends = new Uint32Array(vocabularySize);
  let length = 0;
  for (let token = 0; token < vocabularySize; token++) {
    const bytes = tokenizer.bytesOf(token);
    pieces.push(bytes);
    length += bytes.length;
    ends[token] = length;
    if (token % SLICE === SLICE - 1) await nextTurn();
  }
  return { bytes: Buffer.concat(pieces, length), ends };
}
