/**
 * Plain text as one document in passages of a few kilobytes, cut at line ends: small enough to be split between training and validation,
 * and to be read from a file of any size. Lines that are no UTF-8 are left out and told.
 */
import { isUtf8 } from 'node:buffer';
import { type BadReading, NOT_UTF_8, type PassageReading, type Reading } from './reading.ts';

/** Characters after which a passage ends with its line. */
const PASSAGE_LENGTH = 8192;
/** Bytes without a line end after which a line is cut anywhere. */
const LONGEST_LINE = 1 << 20;
const LF = 10;

export async function* readPlainText(chunks: AsyncIterable<Buffer>): AsyncGenerator<Reading[]> {
  const cutter = new PassageCutter();
  let rest: Buffer = Buffer.alloc(0);
  let line = 1;
  const take = (bytes: Buffer): Reading[] => {
    const readings = isUtf8(bytes) ? cutter.push(bytes.toString('utf8'), line) : readDamaged(bytes, line, cutter);
    line += countLines(bytes);
    return readings;
  };
  for await (const chunk of chunks) {
    const block: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const end = block.lastIndexOf(LF) + 1 || (block.length > LONGEST_LINE ? characterStart(block) : 0);
    rest = block.subarray(end);
    if (end > 0) yield take(block.subarray(0, end));
  }
  if (rest.length > 0) yield take(rest);
  yield cutter.end();
}

/** Line by line: only the damaged ones are lost. */
function readDamaged(bytes: Buffer, firstLine: number, cutter: PassageCutter): Reading[] {
  const readings: Reading[] = [];
  let line = firstLine;
  for (let start = 0; start < bytes.length; line++) {
    const end = bytes.indexOf(LF, start) + 1 || bytes.length;
    const part = bytes.subarray(start, end);
    if (isUtf8(part)) readings.push(...cutter.push(part.toString('utf8'), line));
    else readings.push({ kind: 'bad', line, reason: NOT_UTF_8 } satisfies BadReading);
    start = end;
  }
  return readings;
}

class PassageCutter {
  #text = '';
  #line = 1;
  #begins = true;
  /** Held back, because only at the end is it known which passage is the last. */
  #pending: PassageReading | undefined;

  push(added: string, line: number): PassageReading[] {
    const done: PassageReading[] = [];
    const text = (this.#begins && this.#text === '' ? added.replace(/^\uFEFF/, '') : added).replaceAll('\r\n', '\n');
    if (this.#text === '') this.#line = line;
    let start = 0;
    let at = line;
    while (this.#text.length + text.length - start >= PASSAGE_LENGTH) {
      const from = Math.max(start, start + PASSAGE_LENGTH - this.#text.length - 1);
      const end = cutAfterLines(text, from);
      if (end === undefined) break;
      const part = text.slice(start, end);
      this.#text += part;
      at += part.split('\n').length - 1;
      done.push(...this.#close());
      this.#line = at;
      start = end;
    }
    this.#text += text.slice(start);
    return done;
  }

  end(): PassageReading[] {
    const done = this.#text === '' ? [] : this.#close();
    return this.#pending ? [...done, { ...this.#pending, ends: true }] : done;
  }

  #close(): PassageReading[] {
    const done = this.#pending ? [this.#pending] : [];
    this.#pending = { kind: 'passage', line: this.#line, text: this.#text, begins: this.#begins, ends: false };
    this.#text = '';
    this.#begins = false;
    return done;
  }
}

/** Behind the first line end at or after `from`, and the empty lines that follow it; where no line ends for long, anywhere. */
function cutAfterLines(text: string, from: number): number | undefined {
  const found = text.indexOf('\n', from);
  if (found === -1 || found - from > LONGEST_LINE / 16) {
    const cut = from + LONGEST_LINE / 16;
    if (text.length < cut) return found === -1 ? undefined : found + 1;
    // Never between the halves of a surrogate pair.
    return /[\udc00-\udfff]/.test(text[cut] ?? '') ? cut + 1 : cut;
  }
  let end = found + 1;
  while (text[end] === '\n') end++;
  return end;
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) lines++;
  return lines;
}

/** Where the last character that may not be whole begins. */
function characterStart(bytes: Buffer): number {
  let at = bytes.length;
  while (at > 0 && bytes.length - at < 4) {
    at--;
    const byte = bytes[at] as number;
    if ((byte & 0xc0) !== 0x80) return at;
  }
  return bytes.length;
}
