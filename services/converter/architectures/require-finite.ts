/**
 * Refuses weights that are NaN or infinite: one of them turns every answer of a model into nonsense, or into none at all.
 * Knows numbers and names; knows no model.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { SourceTensor } from '../checkpoint.ts';

/** All ones in a float32's exponent: infinite or no number. Integer compares are cheaper than Number.isFinite over a whole model. */
const EXPONENT = 0x7f800000;

/** The same tensor, whose reads reject with invalid_source when what they read is not finite. `label` is the checkpoint's. */
export function requireFinite(tensor: SourceTensor, label: string): SourceTensor {
  const checked = (values: Float32Array, what: string): void => {
    const index = firstNotFinite(values);
    if (index === -1) return;
    throw new AppError(
      'invalid_source',
      `${label}: the tensor ${tensor.name} holds ${values[index]} (${what} ${index}, stored as ${tensor.dtype}); every weight must be a finite number. Save the checkpoint again from a healthy model.`,
    );
  };
  const read = async () => {
    const values = await tensor.read();
    checked(values, 'element');
    return values;
  };
  const { name, shape, dtype, readBlocks, transposed } = tensor;
  const base = { name, shape, dtype, read, ...(transposed && { transposed: requireFinite(transposed, label) }) };
  if (!readBlocks) return base;
  return {
    ...base,
    readBlocks: async () => {
      const blocks = await readBlocks.call(tensor);
      checked(blocks.scales, 'scale of block');
      checked(blocks.minimums, 'minimum of block');
      return blocks;
    },
  };
}

function firstNotFinite(values: Float32Array): number {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) if (((bits[i] as number) & EXPONENT) === EXPONENT) return i;
  return -1;
}
