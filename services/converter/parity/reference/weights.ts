/**
 * Reads a checkpoint's tensors by name for the reference forward passes, checking shapes. Nothing is kept: each tensor lives as long
 * as its caller holds it, so memory is bounded by the largest one.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Checkpoint } from '../../checkpoint.ts';

export interface Weights {
  has(name: string): boolean;
  /** Throws `invalid_source` when the tensor is missing or not of this shape. */
  read(name: string, shape: readonly number[]): Promise<Float32Array>;
}

export function weightsOf(checkpoint: Checkpoint): Weights {
  return {
    has: (name) => checkpoint.tensors.has(name),
    async read(name, shape) {
      const tensor = checkpoint.tensors.get(name);
      if (tensor === undefined) {
        throw new AppError('invalid_source', `${checkpoint.label}: tensor ${name} is missing; its config asks for it.`);
      }
      if (tensor.shape.length !== shape.length || tensor.shape.some((size, axis) => size !== shape[axis])) {
        throw new AppError(
          'invalid_source',
          `${checkpoint.label}: tensor ${name} is [${tensor.shape.join(', ')}], its config asks for [${shape.join(', ')}].`,
        );
      }
      return tensor.read();
    },
  };
}
