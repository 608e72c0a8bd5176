/**
 * A layout without a model: the next token is a closed formula of the whole sequence so far, recomputed from what each slot's
 * cache holds. A wrong slot, copy, length or position therefore changes the tokens, and the engine's tests see it. So does a
 * position computed by another kernel than when its sequence is computed alone (see ROW_TILE).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Layout, TerminatedError } from './layout.ts';

export interface SyntheticSpec {
  readonly kind: 'synthetic';
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly slots: number;
  /** Seven tokens of eight repeat the one this many positions before. Without it none does. */
  readonly period?: number;
  /** Milliseconds one decode takes, whatever its rows. */
  readonly decodeDelay?: number;
  /** Milliseconds per prompt token; such a prefill can be terminated. */
  readonly prefillDelay?: number;
}

/** What a position holds when nothing valid was written to it. */
const UNWRITTEN = -1;

/**
 * Real kernels compute a row that is alone in its tile otherwise than rows together, with other rounding: decoded tokens, and the
 * last row of a chunk of 32 k + 1. What a cell holds says which of the two it was.
 */
const ROW_TILE = 32;

function cellOf(token: number, isAlone: boolean): number {
  return 2 * token + (isAlone ? 1 : 0);
}

function hashCells(cells: ArrayLike<number>, length: number): number {
  let hash = 0x811c9dc5;
  for (let position = 0; position < length; position++) {
    hash = Math.imul(hash ^ ((cells[position] ?? UNWRITTEN) + 1), 0x01000193) + Math.imul(position + 1, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash >>> 0;
}

type Formula = Pick<SyntheticSpec, 'vocabularySize' | 'period'>;

/** The closed formula: the token that the model likes best after `length` cells, whose hash is given. */
function nextToken(cells: ArrayLike<number>, length: number, hash: number, formula: Formula): number {
  const { vocabularySize, period } = formula;
  const repeated = period === undefined || hash % 8 === 0 ? undefined : cells[length - period];
  return repeated === undefined ? hash % vocabularySize : repeated >> 1;
}

/**
 * What the formula continues `prompt` with by greedy choice, until `maxNewTokens`, an end token (not included) or the end of the
 * context.
 */
export function syntheticContinuation(
  prompt: readonly number[],
  limits: Formula & { maxNewTokens: number; contextLength: number; eosTokenIds?: readonly number[] },
): number[] {
  const cells = prompt.map((token) => cellOf(token, prompt.length === 1));
  const tokens: number[] = [];
  while (tokens.length < limits.maxNewTokens && cells.length < limits.contextLength) {
    const token = nextToken(cells, cells.length, hashCells(cells, cells.length), limits);
    if (limits.eosTokenIds?.includes(token)) break;
    tokens.push(token);
    cells.push(cellOf(token, true));
  }
  return tokens;
}

export async function openSyntheticLayout(spec: SyntheticSpec): Promise<Layout> {
  const { vocabularySize, contextLength, slots } = spec;
  const cache = Array.from({ length: slots }, () => new Int32Array(contextLength).fill(UNWRITTEN));
  const rows = new Float32Array(slots * vocabularySize);
  let stop: AbortController | undefined;

  function slotAt(slot: number): Int32Array {
    const cells = cache[slot];
    if (!cells) throw new RangeError(`slot ${slot} does not exist; there are ${slots}`);
    return cells;
  }

  function write(cells: Int32Array, position: number, token: number, isAlone: boolean): void {
    if (position >= contextLength)
      throw new RangeError(`position ${position} is beyond the context of ${contextLength}`);
    if (position > 0 && cells[position - 1] === UNWRITTEN) throw new RangeError(`position ${position} follows a gap`);
    if (!(token >= 0 && token < vocabularySize)) throw new RangeError(`token ${token} is not in the vocabulary`);
    cells[position] = cellOf(token, isAlone);
  }

  /** Four peaks, so that sampling has something to choose from. */
  function fillRow(row: Float32Array, cells: Int32Array, length: number): Float32Array {
    const hash = hashCells(cells, length);
    row.fill(0);
    for (const [rank, step] of [7919, 104729, 1299709].entries())
      row[((hash >>> 3) + step) % vocabularySize] = 7 - rank;
    row[nextToken(cells, length, hash, spec)] = 8;
    return row;
  }

  /** The logits of the `count` positions from `start` on. */
  function fillRows(cells: Int32Array, start: number, count: number): Float32Array {
    const all = new Float32Array(count * vocabularySize);
    for (let i = 0; i < count; i++) {
      fillRow(all.subarray(i * vocabularySize, (i + 1) * vocabularySize), cells, start + i + 1);
    }
    return all;
  }

  return {
    kind: 'synthetic',
    vocabularySize,
    contextLength,
    slots,
    threads: 1,
    runtime: 'synthetic',

    async prefill(slot, tokens, start, logits) {
      const cells = slotAt(slot);
      cells.fill(UNWRITTEN, start);
      if (spec.prefillDelay) {
        stop = new AbortController();
        try {
          await sleep(spec.prefillDelay * tokens.length, undefined, { signal: stop.signal });
        } catch {
          throw new TerminatedError('the run was terminated');
        } finally {
          stop = undefined;
        }
      }
      for (const [offset, token] of tokens.entries()) {
        write(cells, start + offset, token, offset === tokens.length - 1 && offset % ROW_TILE === 0);
      }
      const end = start + tokens.length;
      if (logits === 'none') return rows.subarray(0, 0);
      if (logits === 'last') return fillRow(rows.subarray(0, vocabularySize), cells, end);
      return fillRows(cells, start, tokens.length);
    },

    async decode(tokens, lengths) {
      if (spec.decodeDelay) await sleep(spec.decodeDelay);
      for (const [slot, token] of tokens.entries()) {
        const cells = slotAt(slot);
        const length = lengths[slot] ?? 0;
        write(cells, length, token, true);
        cells.fill(UNWRITTEN, length + 1);
        fillRow(rows.subarray(slot * vocabularySize, (slot + 1) * vocabularySize), cells, length + 1);
      }
      return rows.subarray(0, tokens.length * vocabularySize);
    },

    async verify(tokens, start) {
      if (spec.decodeDelay) await sleep(spec.decodeDelay);
      const cells = slotAt(0);
      for (const [offset, token] of tokens.entries()) write(cells, start + offset, token, true);
      cells.fill(UNWRITTEN, start + tokens.length);
      return fillRows(cells, start, tokens.length);
    },

    copySlot(from, to, length) {
      const target = slotAt(to);
      target.set(slotAt(from).subarray(0, length));
      target.fill(UNWRITTEN, length);
    },

    terminate() {
      stop?.abort();
    },

    async close() {
      stop?.abort();
    },
  };
}
