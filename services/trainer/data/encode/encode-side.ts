/**
 * One side of the split from canonical lines to its prepared folder. Knows nothing of where the lines came from.
 */
import type { CollectedSide, Place } from '../collect/collect-sides.ts';
import type { Dataset } from '../dataset-file.ts';
import { type DatasetShape, DatasetWriter } from '../dataset-writer.ts';
import type { TextSide } from '../text-side.ts';
import type { UnknownTally } from '../unknown-characters.ts';
import { encodeBatch } from './encode-batch.ts';
import { type EncodedLines, encodeInThreads } from './encode-in-threads.ts';
import type { ThreadData } from './encode-thread.ts';
import { GrowingColumn } from './growing-column.ts';

/** Starting threads takes longer than encoding less. */
const WORTH_THREADS_BYTES = 4 << 20;

export interface EncodeSideOptions {
  readonly folder: string;
  readonly shape: DatasetShape;
  readonly source: Dataset['source'];
  readonly thread: Omit<ThreadData, 'keep'>;
  /** What the threads open for themselves. */
  readonly text: TextSide;
  readonly onBytes: (bytes: number) => void;
  readonly onRejected: (place: Place, reason: string) => void;
  readonly unknown: UnknownTally;
  readonly signal?: AbortSignal | undefined;
}

export interface EncodedSide {
  readonly dataset: Dataset;
  /** Tokens of every example that was written, before it was cut. */
  readonly lengths: Uint32Array;
  /** Examples that were too long to have anything to learn. */
  readonly dropped: number;
  /** Examples with an answer that nothing ends. */
  readonly endless: number;
  readonly highestId: number;
  /** Where the example of this index came from. */
  placeOf(index: number): Place;
}

export async function encodeSide(side: CollectedSide, options: EncodeSideOptions): Promise<EncodedSide> {
  const { shape, signal } = options;
  const keep = shape.maxLength ?? Number.POSITIVE_INFINITY;
  const writer = await DatasetWriter.create(options.folder, shape);
  const lengths = new GrowingColumn();
  const lineNumbers = new GrowingColumn();
  const fileNumbers = new GrowingColumn();
  const files = new Map<string, number>();
  let endless = 0;
  let dropped = 0;
  let highestId = 0;
  try {
    const batches =
      side.bytes < WORTH_THREADS_BYTES
        ? encodeHere(side, options.text, keep)
        : encodeInThreads(side.readBatches(), { ...options.thread, keep });
    for await (const { encoded, lines, places } of batches) {
      signal?.throwIfAborted();
      const placeOf = (source: number) => places[source] as Place;
      for (const { source, reason } of encoded.rejected) options.onRejected(placeOf(source), reason);
      options.unknown.looked(encoded.characters);
      for (const { character, count, source } of encoded.unknown) {
        options.unknown.add(character, count, placeOf(source));
      }
      let at = 0;
      for (const [index, source] of encoded.sources.entries()) {
        const length = encoded.lengths[index] as number;
        const end = at + Math.min(keep, length);
        const line = encoded.lines[index] ?? (lines[source] as string);
        const added = await writer.add(
          line,
          encoded.ids.subarray(at, end),
          encoded.mask?.subarray(at, end) ?? null,
          length,
        );
        at = end;
        if (added === 'nothing-trained') {
          dropped++;
          options.onRejected(
            placeOf(source),
            `of its ${length} tokens none that is trained is among the first ${shape.maxLength}`,
          );
          continue;
        }
        const place = placeOf(source);
        const file = files.get(place.file) ?? files.size;
        files.set(place.file, file);
        lengths.push(length);
        lineNumbers.push(place.line);
        fileNumbers.push(file);
      }
      endless += encoded.endless.length;
      highestId = Math.max(highestId, encoded.highestId);
      options.onBytes(lines.reduce((sum, line) => sum + line.length, 0));
    }
    const names = [...files.keys()];
    return {
      dataset: await writer.finish(options.source),
      lengths: lengths.values(),
      dropped,
      endless,
      highestId,
      placeOf: (index) => ({
        file: names[fileNumbers.values()[index] ?? 0] ?? '',
        line: lineNumbers.values()[index] ?? 0,
      }),
    };
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}

async function* encodeHere(side: CollectedSide, text: TextSide, keep: number): AsyncGenerator<EncodedLines<Place>> {
  for await (const { lines, places } of side.readBatches()) {
    yield { lines, places, encoded: encodeBatch(lines, text, keep) };
  }
}
