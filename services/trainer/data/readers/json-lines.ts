/**
 * JSON Lines: one value per line, empty lines skipped. A broken line is told and costs only itself.
 */
import { readLines } from './lines.ts';
import { MAX_RECORD_BYTES, type Reading, readRecord, strictDecoder } from './reading.ts';

export async function* readJsonLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Reading[]> {
  const decode = strictDecoder();
  for await (const lines of readLines(chunks, MAX_RECORD_BYTES)) {
    yield lines
      .filter(({ bytes }) => bytes === undefined || !isBlank(bytes))
      .map(({ number, bytes }) => readRecord(bytes, number, decode));
  }
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 32 || byte === 9 || byte === 13);
}
