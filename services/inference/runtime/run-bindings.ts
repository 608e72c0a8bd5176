/**
 * The tensors a run of the serving graph reads and writes beside its cache: ids, lengths, wanted rows, logits. Knows no slot and no cache.
 */
import { type OrtBinding, OrtTensor } from './ort.ts';

/** At least this many elements, so that V8 never moves the memory (see ort.ts). */
const STABLE = 64;

/** One token for each of `rows` sequences: every tensor is bound once and only its contents change. */
export class StepBinding {
  readonly binding: OrtBinding;
  readonly #ids: BigInt64Array;
  readonly #last: Int32Array;
  readonly #total = new Int32Array(STABLE);

  /** Writes its logits to the start of `logits`, [rows, vocabulary]. */
  constructor(binding: OrtBinding, rows: number, logits: Float32Array, vocabulary: number) {
    this.binding = binding;
    const room = Math.max(rows, STABLE);
    this.#ids = new BigInt64Array(room);
    this.#last = new Int32Array(room);
    const logitRows = BigInt64Array.from({ length: room }, (_, row) => BigInt(row));
    binding.input('input_ids', new OrtTensor(this.#ids, [rows, 1]));
    binding.input('seqlens_k', new OrtTensor(this.#last, [rows]));
    binding.input('total_sequence_length', new OrtTensor(this.#total, [1]));
    binding.input('logit_rows', new OrtTensor(logitRows, [rows]));
    binding.output('logits', new OrtTensor(logits, [rows, vocabulary]));
  }

  /** `lengths[row]` positions of that row's cache are filled. */
  set(tokens: readonly number[], lengths: readonly number[]): void {
    let longest = 0;
    for (const [row, token] of tokens.entries()) {
      const length = lengths[row] ?? 0;
      this.#ids[row] = BigInt(token);
      this.#last[row] = length;
      longest = Math.max(longest, length + 1);
    }
    this.#total[0] = longest;
  }
}

/** Many tokens of one sequence: the cache stays bound, the rest has a new shape each time. */
export class ChunkBinding {
  readonly binding: OrtBinding;
  readonly #last = new Int32Array(STABLE);
  readonly #total = new Int32Array(STABLE);

  constructor(binding: OrtBinding) {
    this.binding = binding;
    binding.input('seqlens_k', new OrtTensor(this.#last, [1]));
    binding.input('total_sequence_length', new OrtTensor(this.#total, [1]));
  }

  /** Tokens at positions start.., logits of tokens first..first+count-1 into `output` [count, vocabulary]. */
  set(tokens: readonly number[], start: number, [first, count]: readonly [number, number], output: Float32Array): void {
    const total = start + tokens.length;
    this.#last[0] = total - 1;
    this.#total[0] = total;
    const ids = new BigInt64Array(Math.max(tokens.length, STABLE));
    for (const [index, token] of tokens.entries()) ids[index] = BigInt(token);
    const logitRows = new BigInt64Array(Math.max(count, STABLE));
    for (let row = 0; row < count; row++) logitRows[row] = BigInt(first + row);
    this.binding.input('input_ids', new OrtTensor(ids, [1, tokens.length]));
    this.binding.input('logit_rows', new OrtTensor(logitRows, [count]));
    this.binding.output('logits', new OrtTensor(output, [count, output.length / count]));
  }
}
