/**
 * What every reader makes of a source: a configuration in Hugging Face's words, tensors that are read only when asked for,
 * and the text side (tokenizer, template) as the files a Hugging Face folder would hold. Knows no file format.
 */

/** Tensor data is always handed out as row-major float32, whatever it is stored as. */
export interface SourceTensor {
  /** Hugging Face name, e.g. `model.layers.0.self_attn.q_proj.weight`. */
  readonly name: string;
  /** As in PyTorch: a linear layer's weight is [out, in]. */
  readonly shape: readonly number[];
  /** As stored: `F32`, `BF16`, `Q4_1` ... */
  readonly dtype: string;
  /** Reads the whole tensor; the caller owns the array. */
  read(): Promise<Float32Array>;
  /**
   * Only for tensors stored in 4-bit blocks of 32 along the last axis (Q4_0, Q4_1, Q4_K): their integers, scales and minimums
   * exactly as stored, so that they can be carried over without loss: w = scale * q + minimum, q in 0..15.
   * `q` one byte per weight, row-major; `scales` and `minimums` [out, in/32].
   */
  readBlocks?(): Promise<{ q: Uint8Array; scales: Float32Array; minimums: Float32Array }>;
  /** Only for matrices that are stored with their axes swapped: the matrix as it is stored. */
  readonly transposed?: SourceTensor;
}

export interface TextFiles {
  /** A Hugging Face tokenizer.json, parsed. */
  readonly tokenizerJson: unknown;
  /** A Hugging Face tokenizer_config.json, parsed; without the chat template. */
  readonly tokenizerConfig: unknown;
  /** Jinja source, or null when the source has none. */
  readonly chatTemplate: string | null;
  /** Special ids: what begins a text (null: nothing), what ends it. */
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  /** Whether plain text is encoded with BOS in front. */
  readonly addBos: boolean;
  /** A Hugging Face generation_config.json, parsed; absent when the source has none. */
  readonly generationConfig?: Readonly<Record<string, unknown>>;
}

/** What became of the names of trained weights when they were laid over a base. */
export interface TensorFit {
  /** How many of the base's tensors were found. */
  readonly matched: number;
  /** Tensors of the base that the weights lack. Nothing is published while there are any. */
  readonly missing: readonly string[];
  /** Beside the policy: value heads, critics, computed tables, optimizer state. Left out. */
  readonly unexpected: readonly string[];
  /** Heads that are the embedding: not stored a second time. */
  readonly tied: readonly string[];
  /** Prefixes that were cut or changed, for people: `actor.module. -> model.`. */
  readonly renamed: readonly string[];
}

export interface Checkpoint {
  readonly kind: 'hugging-face-folder' | 'gguf' | 'llama2c' | 'peft-adapter' | 'checkpoint-over-base';
  /** Base name of the folder or file. */
  readonly label: string;
  /** Every file the result depends on; sha256 in hex. */
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[];
  /** A Hugging Face config.json (made from the metadata for other formats). Unvalidated: the architecture parses it. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, SourceTensor>;
  readonly text: TextFiles;
  /** Only of weights over a base: how their names fitted its names. */
  readonly fit?: TensorFit;
  close(): Promise<void>;
}
