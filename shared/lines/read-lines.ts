/**
 * A file of lines, one at a time, in memory that does not grow with the file: a byte order mark, carriage returns and blank lines are passed
 * over, and a line that cannot be read says why. Knows nothing of what a line holds.
 */
import { createReadStream } from 'node:fs';

export interface Line {
  /** From 0, blank lines not counted. */
  readonly index: number;
  /** From 1, as an editor counts. */
  readonly number: number;
  /** Or what is wrong with it. */
  readonly content: { readonly text: string } | { readonly problem: string };
}

const CHUNK_BYTES = 64 * 1024;
const LINE_FEED = 0x0a;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** `from`: the index of the first line that is wanted. `onBytes` is told every byte of the file, also of what is passed over. */
export async function* readLines(
  file: string,
  { mostBytes, from = 0, onBytes }: { mostBytes: number; from?: number; onBytes?: (bytes: Buffer) => void },
): AsyncGenerator<Line> {
  let number = 0;
  let index = 0;
  for await (const bytes of splitLines(file, mostBytes, onBytes)) {
    number++;
    if (bytes !== undefined && isBlank(bytes)) continue;
    if (index >= from) yield { index, number, content: contentOf(bytes, mostBytes) };
    index++;
  }
}

/** Undefined for one that is longer than `mostBytes`. */
async function* splitLines(
  file: string,
  mostBytes: number,
  onBytes: ((bytes: Buffer) => void) | undefined,
): AsyncGenerator<Buffer | undefined> {
  let begun: Buffer[] = [];
  let length = 0;
  const take = (): Buffer | undefined => {
    const [only] = begun;
    const whole = length > mostBytes ? undefined : begun.length === 1 ? only : Buffer.concat(begun);
    begun = [];
    length = 0;
    return whole;
  };
  const add = (part: Buffer) => {
    length += part.length;
    if (length > mostBytes) begun = [];
    else begun.push(part);
  };
  let isFirst = true;
  for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>) {
    onBytes?.(chunk);
    let rest = isFirst && chunk.subarray(0, 3).equals(BYTE_ORDER_MARK) ? chunk.subarray(3) : chunk;
    isFirst = false;
    for (let end = rest.indexOf(LINE_FEED); end >= 0; end = rest.indexOf(LINE_FEED)) {
      add(rest.subarray(0, end));
      yield take();
      rest = rest.subarray(end + 1);
    }
    if (rest.length > 0) add(rest);
  }
  if (length > 0) yield take();
}

function contentOf(bytes: Buffer | undefined, mostBytes: number): Line['content'] {
  if (bytes === undefined) return { problem: `is longer than ${mostBytes} bytes` };
  try {
    const text = utf8.decode(bytes);
    return { text: text.endsWith('\r') ? text.slice(0, -1) : text };
  } catch {
    return { problem: 'is not valid UTF-8' };
  }
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}
