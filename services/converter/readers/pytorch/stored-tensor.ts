/**
 * A tensor that lies in a file by offset and strides, read in pieces and put into row-major order. Memory is the result's and one
 * piece. Knows neither zip nor pickle.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { SourceTensor } from '../../checkpoint.ts';
import type { SourceFile } from '../source-file.ts';
import type { TensorSpec } from './pickle-values.ts';

const READ_BYTES = 4 << 20;

interface Axis {
  readonly length: number;
  /** Elements from one index to the next: in the file, and in the result. */
  readonly from: number;
  readonly to: number;
}

/** `position`: where the tensor's storage begins in the file. `pieceBytes`: what is read at once, one element at least. */
export function storedTensor(
  file: SourceFile,
  name: string,
  spec: TensorSpec,
  position: number,
  pieceBytes = READ_BYTES,
): SourceTensor {
  const { shape, type } = spec;
  return {
    name,
    shape,
    dtype: type.name,
    read: async () => {
      const fail = (fault: string) =>
        new AppError('unsupported_source', `${file.name}: tensor ${JSON.stringify(name)} ${fault}`);
      const { toFloat32 } = type;
      if (!toFloat32) throw fail(`is stored as ${type.name}, which is not read`);
      const count = shape.reduce((product, length) => product * length, 1);
      // Strides of 0 make any size of nothing.
      if (count * type.bytes > spec.storageBytes) {
        throw fail(`repeats the ${spec.storageBytes} bytes it is stored in to shape [${shape}]; save it .contiguous()`);
      }
      const out = new Float32Array(count);
      if (count === 0) return out;
      const axes = inFileOrder(shape, spec.strides);
      const buffer = Buffer.allocUnsafeSlow(Math.min(pieceBytes, span(axes) * type.bytes));
      const read = async (element: number, elements: number, into: Float32Array, at: number) => {
        const part = buffer.subarray(0, elements * type.bytes);
        await file.readInto(part, position + element * type.bytes);
        toFloat32(part, elements, into, at);
      };
      const most = buffer.length / type.bytes;
      if (axes.every(({ from, to }) => from === to) && span(axes) === count) {
        for (let at = 0; at < count; at += most) {
          await read(spec.offset + at, Math.min(most, count - at), out, at);
        }
      } else {
        const piece = new Float32Array(most);
        await gather(axes, spec.offset, 0, most, async (inner, element, at) => {
          await read(element, span(inner), piece, 0);
          scatter(inner, piece, 0, out, at);
        });
      }
      return out;
    },
  };
}

/** Axes of more than one index, the longest way through the file outermost. */
function inFileOrder(shape: readonly number[], strides: readonly number[]): Axis[] {
  const axes: Axis[] = [];
  let to = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const length = shape[i] ?? 0;
    if (length > 1) axes.push({ length, from: strides[i] ?? 0, to });
    to *= length;
  }
  return axes.toSorted((a, b) => b.from - a.from);
}

/** Elements of the file from the first of a box to its last. */
function span(axes: readonly Axis[]): number {
  return axes.reduce((sum, { length, from }) => sum + (length - 1) * from, 1);
}

/** Cuts a box into boxes that span at most `most` elements of the file. */
async function gather(
  axes: readonly Axis[],
  element: number,
  at: number,
  most: number,
  visit: (inner: readonly Axis[], element: number, at: number) => Promise<void>,
): Promise<void> {
  const [outer, ...inner] = axes;
  if (!outer || span(axes) <= most) return visit(axes, element, at);
  const together = Math.max(1, Math.floor((most - span(inner)) / outer.from) + 1);
  for (let i = 0; i < outer.length; i += together) {
    const part = { ...outer, length: Math.min(together, outer.length - i) };
    const box = together === 1 ? inner : [part, ...inner];
    await gather(box, element + i * outer.from, at + i * outer.to, most, visit);
  }
}

function scatter(axes: readonly Axis[], piece: Float32Array, from: number, out: Float32Array, at: number): void {
  const [outer, ...inner] = axes;
  if (!outer) {
    out[at] = piece[from] as number;
    return;
  }
  for (let i = 0; i < outer.length; i++) {
    if (inner.length === 0) out[at + i * outer.to] = piece[from + i * outer.from] as number;
    else scatter(inner, piece, from + i * outer.from, out, at + i * outer.to);
  }
}
