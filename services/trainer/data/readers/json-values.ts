/**
 * The elements of a JSON array, or JSON values one behind the other, from a stream of any length. Only finds where each value begins and
 * ends; JSON.parse reads it. So a value has its line, and one that is too long or broken inside is told and skipped.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { MAX_RECORD_BYTES, type Reading, readRecord, strictDecoder } from './reading.ts';

const [LF, SPACE, QUOTE, COMMA, COLON, BACKSLASH] = [10, 32, 34, 44, 58, 92];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [91, 93, 123, 125];
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** AppError invalid_source names the line where the file stops being JSON. */
export async function* readJsonValues(chunks: AsyncIterable<Buffer>, name: string): AsyncGenerator<Reading[]> {
  const splitter = new Splitter(name);
  for await (const chunk of chunks) {
    const readings = splitter.push(chunk);
    if (readings.length > 0) yield readings;
  }
  yield splitter.end();
}

type Place = 'before' | 'between' | 'inside' | 'behind';

class Splitter {
  readonly #name: string;
  readonly #decode = strictDecoder();
  #place: Place = 'before';
  /** Whether the values are elements of one array. */
  #isArray = false;
  #line = 1;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #startLine = 1;
  #kept: Buffer[] = [];
  #length = 0;
  #needsComma = false;

  constructor(name: string) {
    this.#name = name;
  }

  push(chunk: Buffer): Reading[] {
    const found: Reading[] = [];
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (byte === LF) this.#line++;
      if (this.#place !== 'inside') {
        if (byte <= SPACE || (this.#place === 'before' && BYTE_ORDER_MARK.includes(byte))) continue;
        if (!this.#begins(byte)) continue;
        start = at;
      }
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === BACKSLASH) this.#escaped = true;
        else if (byte === QUOTE) this.#inString = false;
        if (this.#inString || this.#depth > 0) continue;
        found.push(this.#finish(chunk.subarray(start, at + 1)));
      } else if (byte === QUOTE) {
        this.#inString = true;
      } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        this.#depth++;
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
        if (this.#depth === 0) {
          // Behind a number or a word that is an element: the array's own end.
          found.push(this.#finish(chunk.subarray(start, at)));
          at--;
        } else if (--this.#depth === 0) found.push(this.#finish(chunk.subarray(start, at + 1)));
      } else if (this.#depth === 0 && (byte === COMMA || byte <= SPACE)) {
        found.push(this.#finish(chunk.subarray(start, at)));
        if (byte === COMMA) at--;
      }
    }
    if (this.#place === 'inside') this.#keep(chunk.subarray(start));
    return found;
  }

  /** The last value, when nothing closes it. AppError when the file ends too early. */
  end(): Reading[] {
    if (this.#place === 'inside' && !this.#isArray && this.#depth === 0 && !this.#inString) {
      return [this.#finish(Buffer.alloc(0))];
    }
    if (this.#place === 'inside') {
      throw this.#broken(
        this.#startLine,
        'what begins here is never closed; the file was cut off, or a quote is missing',
      );
    }
    if (this.#isArray && this.#place === 'between') throw this.#broken(this.#line, 'the array is never closed');
    return [];
  }

  /** Outside of values: true when one begins with this byte. */
  #begins(byte: number): boolean {
    if (this.#place === 'behind') throw this.#broken(this.#line, 'there is something behind the end of the array');
    if (this.#place === 'before') {
      this.#place = 'between';
      if (byte === OPEN_ARRAY) {
        this.#isArray = true;
        return false;
      }
    }
    if (this.#isArray && byte === CLOSE_ARRAY) {
      this.#place = 'behind';
      return false;
    }
    if (byte === COMMA && this.#needsComma && this.#isArray) {
      this.#needsComma = false;
      return false;
    }
    const isNoValue = byte === COMMA || byte === COLON || byte === CLOSE_OBJECT || byte === CLOSE_ARRAY;
    if (isNoValue || (this.#isArray && this.#needsComma)) {
      throw this.#broken(
        this.#line,
        `${isNoValue ? 'a value' : 'a comma'} is missing before ${String.fromCharCode(byte)}`,
      );
    }
    this.#place = 'inside';
    this.#startLine = this.#line;
    return true;
  }

  #keep(part: Buffer): void {
    this.#length += part.length;
    if (this.#length > MAX_RECORD_BYTES) this.#kept = [];
    else this.#kept.push(part);
  }

  #finish(part: Buffer): Reading {
    this.#keep(part);
    const bytes = this.#length > MAX_RECORD_BYTES ? undefined : Buffer.concat(this.#kept);
    this.#kept = [];
    this.#length = 0;
    this.#place = 'between';
    this.#needsComma = true;
    return readRecord(bytes, this.#startLine, this.#decode);
  }

  #broken(line: number, what: string): AppError {
    return new AppError('invalid_source', `${this.#name}: line ${line}: no valid JSON from here on: ${what}`);
  }
}
