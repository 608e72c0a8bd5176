/**
 * How an architecture takes tensors from a checkpoint: by name, with the shape it expects, or an error that says what is missing.
 * Knows no model.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Checkpoint, SourceTensor } from '../checkpoint.ts';
import type { Blocks, Linear, Matrix } from './decoder-spec.ts';
import { NeededTensors } from './needed-tensors.ts';
import { requireFinite } from './require-finite.ts';

export class CheckpointReader {
  readonly #checkpoint: Checkpoint;
  readonly #prefix: string;

  /** `prefix` is put before every name. */
  constructor(checkpoint: Checkpoint, prefix = '') {
    this.#checkpoint = checkpoint;
    this.#prefix = prefix;
  }

  /** What errors call the checkpoint. */
  get label(): string {
    return this.#checkpoint.label;
  }

  has(name: string): boolean {
    return this.#checkpoint.tensors.has(this.#prefix + name);
  }

  /** Its reads reject when a weight is not finite: every tensor of every architecture comes through here. */
  tensor(name: string, shape: readonly number[]): SourceTensor {
    const full = this.#prefix + name;
    const { tensors } = this.#checkpoint;
    const tensor = tensors instanceof NeededTensors ? tensors.need(full, shape) : tensors.get(full);
    if (!tensor) {
      throw new AppError(
        'invalid_source',
        `${this.#checkpoint.label}: the tensor ${full} [${shape}] is missing; the configuration asks for it`,
      );
    }
    if (tensor.shape.length !== shape.length || tensor.shape.some((size, axis) => size !== shape[axis])) {
      throw new AppError(
        'invalid_source',
        `${this.#checkpoint.label}: the tensor ${full} has shape [${tensor.shape}], the configuration asks for [${shape}]`,
      );
    }
    return requireFinite(tensor, this.#checkpoint.label);
  }

  matrix(name: string, rows: number, columns: number): Matrix {
    return asMatrix(this.tensor(name, [rows, columns]), rows, columns);
  }

  vector(name: string, size: number): () => Promise<Float32Array> {
    const tensor = this.tensor(name, [size]);
    return () => tensor.read();
  }

  /**
   * `NAME.weight` [rows, columns] and `NAME.bias` [rows]: where the family or its configuration has one (`biased`) it must be there,
   * elsewhere an adapter may have added it. In a folder for transformers it may not: there it would be left out.
   */
  linear(name: string, rows: number, columns: number, biased: boolean): Linear {
    if (!biased && this.#checkpoint.kind === 'hugging-face-folder' && this.has(`${name}.bias`)) {
      throw new AppError(
        'unsupported_source',
        `${this.label}: there is a ${this.#prefix}${name}.bias, but no bias is asked for by the configuration: transformers would leave it out. If the model has it, say so in config.json (attention_bias or mlp_bias of the families that have those), else remove it.`,
      );
    }
    return {
      weight: this.matrix(`${name}.weight`, rows, columns),
      bias: biased || this.has(`${name}.bias`) ? this.vector(`${name}.bias`, rows) : null,
    };
  }
}

export function asMatrix(tensor: SourceTensor, rows: number, columns: number): Matrix {
  const matrix = { rows, columns, read: () => tensor.read() };
  const { readBlocks } = tensor;
  return readBlocks ? { ...matrix, readBlocks: () => readBlocks.call(tensor) } : matrix;
}

/** One linear layer whose rows are those of `parts`, one after the other. A missing bias counts as zeros when another part has one. */
export function stackRows(parts: readonly [Linear, ...Linear[]]): Linear {
  const weights = parts.map(({ weight }) => weight);
  const { columns } = parts[0].weight;
  const matrix: Matrix = {
    rows: weights.reduce((sum, { rows }) => sum + rows, 0),
    columns,
    read: async () => joined(await Promise.all(weights.map((weight) => weight.read())), Float32Array),
  };
  const readers = weights.flatMap((weight) => (weight.readBlocks ? [weight.readBlocks.bind(weight)] : []));
  const readBlocks = async (): Promise<Blocks> => {
    const blocks = await Promise.all(readers.map((read) => read()));
    return {
      q: joined(
        blocks.map(({ q }) => q),
        Uint8Array,
      ),
      scales: joined(
        blocks.map(({ scales }) => scales),
        Float32Array,
      ),
      minimums: joined(
        blocks.map(({ minimums }) => minimums),
        Float32Array,
      ),
    };
  };
  const biased = parts.some(({ bias }) => bias !== null);
  const bias = async () =>
    joined(
      await Promise.all(parts.map(({ weight, bias: read }) => read?.() ?? new Float32Array(weight.rows))),
      Float32Array,
    );
  return { weight: readers.length === parts.length ? { ...matrix, readBlocks } : matrix, bias: biased ? bias : null };
}

function joined<T extends Float32Array | Uint8Array>(parts: readonly T[], make: new (length: number) => T): T {
  const whole = new make(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
