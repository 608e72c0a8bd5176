/**
 * The one file all graphs of a version take their weights from: appended tensor by tensor, hashed while written.
 * Knows bytes and offsets; knows no model.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import type { DataType, ExternalTensor } from '../graph/onnx-model.ts';

export interface Written {
  readonly bytes: number;
  readonly tensors: number;
}

export type TensorBytes = Float32Array | Uint8Array | Int8Array | Uint16Array;

/** ONNX Runtime maps external data and hands it to kernels as it lies: cache-line alignment is enough. */
const ALIGNMENT = 64;
/** Node hashes and writes less than 2 GiB at a time; large models have larger tensors. */
const PIECE = 64 << 20;

export class WeightsFile {
  readonly #file: FileHandle;
  readonly #hash = createHash('sha256');
  #offset = 0;
  #tensors = 0;
  #pending: Promise<void> = Promise.resolve();

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async create(path: string): Promise<WeightsFile> {
    return new WeightsFile(await open(path, 'wx'));
  }

  get bytes(): number {
    return this.#offset;
  }

  get written(): Written {
    return { bytes: this.#offset, tensors: this.#tensors };
  }

  /** Appends a tensor; row-major, little-endian. Resolves when the one before it is on its way to disk, so memory stays bounded by two. */
  async add(name: string, type: DataType, shape: readonly number[], data: TensorBytes): Promise<ExternalTensor> {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const padding = (ALIGNMENT - (this.#offset % ALIGNMENT)) % ALIGNMENT;
    const offset = this.#offset + padding;
    this.#offset = offset + bytes.byteLength;
    this.#tensors++;
    const before = this.#pending;
    this.#pending = before.then(async () => {
      if (padding > 0) await this.#append(new Uint8Array(padding));
      await this.#append(bytes);
    });
    // Told by the next add or by close. Until one of them asks, a failed write must not count as unhandled and end the process.
    this.#pending.catch(() => {});
    await before;
    return { name, type, shape, offset, length: bytes.byteLength };
  }

  /** Gives the file's sha256. */
  async close(): Promise<string> {
    try {
      await this.#pending;
      await this.#file.sync();
    } finally {
      await this.#file.close();
    }
    return this.#hash.digest('hex');
  }

  async #append(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.byteLength; start += PIECE) {
      const piece = bytes.subarray(start, start + PIECE);
      this.#hash.update(piece);
      for (let written = 0; written < piece.byteLength; ) {
        written += (await this.#file.write(piece, written)).bytesWritten;
      }
    }
  }
}
