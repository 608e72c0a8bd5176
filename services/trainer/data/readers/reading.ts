/**
 * What every reader yields, in batches: records, passages of plain text, or lines that cannot be read, each with its place. Owns the
 * limits that bound a reader's memory whatever a file holds.
 */

/** A record that takes more is skipped and listed: no example is that long. */
export const MAX_RECORD_BYTES = 16 << 20;
/** Deeper JSON is no training data, and code that walks it would overflow the stack. */
const MAX_DEPTH = 64;
/** How much of a file is in memory at once. */
export const CHUNK_BYTES = 1 << 20;

export interface RecordReading {
  readonly kind: 'record';
  /** 1-based: the line it begins at, or its row in a table. */
  readonly line: number;
  readonly value: unknown;
}

export interface PassageReading {
  readonly kind: 'passage';
  readonly line: number;
  readonly text: string;
  /** Whether the document begins or ends with it. */
  readonly begins: boolean;
  readonly ends: boolean;
}

export interface BadReading {
  readonly kind: 'bad';
  readonly line: number;
  readonly reason: string;
}

export type Reading = RecordReading | PassageReading | BadReading;

export type Readings = AsyncIterable<readonly Reading[]>;

/** Why a line was left out; the encoding that such files mostly have is named, since nothing in them tells it. */
export const NOT_UTF_8 = 'not valid UTF-8; iconv -f WINDOWS-1252 -t UTF-8 converts most files of that kind';

/** The bytes of one record as a value, or why it is none. `bytes` undefined: it was longer than the limit. */
export function readRecord(
  bytes: Uint8Array | undefined,
  line: number,
  decode: (bytes: Uint8Array) => string,
): Reading {
  if (bytes === undefined) return { kind: 'bad', line, reason: `longer than ${MAX_RECORD_BYTES >> 20} MiB` };
  let text: string;
  try {
    text = decode(bytes);
  } catch {
    return { kind: 'bad', line, reason: NOT_UTF_8 };
  }
  try {
    const value: unknown = JSON.parse(text);
    if (isTooDeep(value)) return { kind: 'bad', line, reason: `nested deeper than ${MAX_DEPTH}` };
    return { kind: 'record', line, value };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { kind: 'bad', line, reason: `not valid JSON: ${why.slice(0, 160).replaceAll(/\s+/g, ' ')}` };
  }
}

/** Level by level, so that no depth can overflow the stack. */
function isTooDeep(value: unknown): boolean {
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) return true;
    const next: unknown[] = [];
    for (const item of level) {
      if (typeof item !== 'object' || item === null) continue;
      for (const inner of Array.isArray(item) ? item : Object.values(item)) {
        if (typeof inner === 'object' && inner !== null) next.push(inner);
      }
    }
    level = next;
  }
  return false;
}

/** Throws on bytes that are no UTF-8; a byte-order mark at the beginning of a record is none of its text. */
export function strictDecoder(): (bytes: Uint8Array) => string {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  return (bytes) => decoder.decode(bytes);
}
