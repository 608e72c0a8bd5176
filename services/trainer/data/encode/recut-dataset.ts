/**
 * A prepared folder once more with a smaller max_length: which one is right is known only when all lengths are. Reads ids, encodes nothing.
 */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { Dataset } from '../dataset-file.ts';
import { DatasetWriter } from '../dataset-writer.ts';
import { readLines } from '../readers/lines.ts';
import { CHUNK_BYTES } from '../readers/reading.ts';

export interface RecutOptions {
  readonly folder: string;
  readonly dataset: Dataset;
  /** Tokens of every example before any cut, in order. */
  readonly lengths: Uint32Array;
  readonly to: string;
  readonly maxLength: number;
  /** The example of this index has nothing to learn any more. */
  readonly onDropped: (index: number) => void;
}

export async function recutDataset(options: RecutOptions): Promise<Dataset> {
  const { folder, dataset, lengths, maxLength } = options;
  const { kind, vocabulary_size: vocabularySize, dtype, source } = dataset;
  const writer = await DatasetWriter.create(options.to, { kind, vocabularySize, maxLength });
  const width = dtype === 'uint16' ? 2 : 4;
  const offsets = exactReads(join(folder, 'offsets.bin'));
  const tokens = exactReads(join(folder, 'tokens.bin'));
  const masks = exactReads(join(folder, 'mask.bin'));
  let start = (await offsets(8)).readBigUInt64LE();
  let index = 0;
  const examples = createReadStream(join(folder, 'examples.jsonl'), { highWaterMark: CHUNK_BYTES });
  for await (const lines of readLines(examples, Number.POSITIVE_INFINITY)) {
    for (const { bytes } of lines) {
      const end = (await offsets(8)).readBigUInt64LE();
      const length = Number(end - start);
      const packed = await tokens(length * width);
      const ids = Uint32Array.from({ length }, (_, at) => packed.readUIntLE(at * width, width));
      const line = bytes?.toString('utf8') ?? '';
      const added = await writer.add(line, ids, await masks(length), lengths[index] as number);
      if (added === 'nothing-trained') options.onDropped(index);
      index++;
      start = end;
    }
  }
  return writer.finish(source);
}

/** A file from its beginning, so many bytes at a time. */
function exactReads(path: string): (length: number) => Promise<Buffer> {
  const chunks = createReadStream(path, { highWaterMark: CHUNK_BYTES })[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  return async (length) => {
    const parts = [rest];
    let have = rest.length;
    while (have < length) {
      const next = await chunks.next();
      if (next.done) throw new Error(`${path} ends too early`);
      const chunk: Buffer = next.value;
      parts.push(chunk);
      have += chunk.length;
    }
    const whole = parts.length === 1 ? rest : Buffer.concat(parts);
    rest = whole.subarray(length);
    return whole.subarray(0, length);
  };
}
