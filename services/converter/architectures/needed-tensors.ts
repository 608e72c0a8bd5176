/**
 * Stands in for a checkpoint's tensors while there are none: takes note of every name and shape an architecture asks for. What it gives
 * cannot be read.
 */
import type { SourceTensor } from '../checkpoint.ts';

export class NeededTensors extends Map<string, SourceTensor> {
  readonly #isThere: (name: string) => boolean;

  /** `isThere` answers for tensors that a model may have or not. */
  constructor(isThere: (name: string) => boolean) {
    super();
    this.#isThere = isThere;
  }

  override has(name: string): boolean {
    return super.has(name) || this.#isThere(name);
  }

  need(name: string, shape: readonly number[]): SourceTensor {
    const read = () => Promise.reject(new Error(`${name} is only asked for`));
    const tensor = { name, shape, dtype: 'F32', read };
    this.set(name, tensor);
    return tensor;
  }
}
