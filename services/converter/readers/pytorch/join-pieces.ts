/**
 * One tensor of the pieces that ranks hold, read one after another. Knows shapes and pieces, no files.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { SourceTensor } from '../../checkpoint.ts';
import type { Piece } from './pickle-values.ts';

export interface FoundTensor {
  readonly tensor: SourceTensor;
  readonly piece: Piece | undefined;
  /** Base name of the file it is in, for messages. */
  readonly file: string;
}

/**
 * `ranks`: the files are those of several ranks, each of which has what is not cut.
 * AppError invalid_source when pieces are missing, or it is whole in several files that are no ranks'.
 */
export function joinPieces(name: string, found: readonly FoundTensor[], ranks: boolean): SourceTensor {
  const files = found.map(({ file }) => file).join(', ');
  const fail = (fault: string) =>
    new AppError('invalid_source', `${files}: the tensor ${JSON.stringify(name)} ${fault}`);
  const [first] = found;
  if (!first) throw fail('is in no file');
  const { piece, tensor } = first;
  if (!piece) {
    if (found.length > 1 && !ranks) throw fail('is whole in each of these files; give the one that is meant');
    return tensor;
  }
  const { axis, shape } = piece;
  // A mesh can hold the same pieces several times.
  const byIndex = new Map<number, SourceTensor>();
  for (const each of found) {
    if (each.piece?.axis !== axis || each.piece.shape.join() !== shape.join()) {
      throw fail('is cut differently in each of them');
    }
    if (!byIndex.has(each.piece.index)) byIndex.set(each.piece.index, each.tensor);
  }
  const pieces = Array.from({ length: byIndex.size }, (_, index) => byIndex.get(index));
  const lengths = pieces.map((each) => each?.shape[axis] ?? 0);
  const there = [...byIndex.values()].reduce((sum, each) => sum + (each.shape[axis] ?? 0), 0);
  if (there !== shape[axis] || pieces.includes(undefined)) {
    throw fail(
      `has ${there} of its ${shape[axis]} along axis ${axis} here: it is spread over the files of several ranks; give the folder of all of them`,
    );
  }
  return {
    name,
    shape,
    dtype: tensor.dtype,
    read: async () => {
      const out = new Float32Array(product(shape));
      const inner = product(shape.slice(axis + 1));
      const row = (shape[axis] ?? 0) * inner;
      let at = 0;
      for (const [index, each] of pieces.entries()) {
        const values = (await each?.read()) ?? new Float32Array(0);
        const width = (lengths[index] ?? 0) * inner;
        for (let from = 0, to = at; from < values.length; from += width, to += row) {
          out.set(values.subarray(from, from + width), to);
        }
        at += width;
      }
      return out;
    },
  };
}

function product(lengths: readonly number[]): number {
  return lengths.reduce((result, length) => result * length, 1);
}
