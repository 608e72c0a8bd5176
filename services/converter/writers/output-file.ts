/**
 * A file written from its beginning to its end, tensor by tensor in pieces, so that only one float32 tensor is whole in memory.
 * Knows bytes; knows no format.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { type StorageType, storedBytes } from './storage-types.ts';

/** Values encoded at once: whole blocks of every type. */
const PIECE = 1 << 20;

export class OutputFile {
  readonly #file: FileHandle;
  #buffer = new Uint8Array(0);
  position = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Writes a file with `use`; what is written is on the disk when this resolves. Gives its size. */
  static async write(path: string, use: (file: OutputFile) => Promise<void>): Promise<number> {
    const handle = await open(path, 'wx');
    try {
      const file = new OutputFile(handle);
      await use(file);
      await handle.sync();
      return file.position;
    } finally {
      await handle.close();
    }
  }

  async bytes(bytes: Uint8Array): Promise<void> {
    for (let written = 0; written < bytes.byteLength; ) {
      written += (await this.#file.write(bytes, written)).bytesWritten;
    }
    this.position += bytes.byteLength;
  }

  /** Zeros up to the next multiple of `alignment`. */
  async align(alignment: number): Promise<void> {
    const padding = (alignment - (this.position % alignment)) % alignment;
    if (padding > 0) await this.bytes(new Uint8Array(padding));
  }

  /** AppError invalid_field when a value is too large for `type`; `name` is the tensor's. */
  async values(values: Float32Array, type: StorageType, name: string): Promise<void> {
    for (let start = 0; start < values.length; start += PIECE) {
      const piece = values.subarray(start, start + PIECE);
      const length = storedBytes(type, piece.length);
      if (this.#buffer.length < length) this.#buffer = new Uint8Array(length);
      const bytes = this.#buffer.subarray(0, length);
      if (!type.encode(piece, bytes)) {
        throw new AppError(
          'invalid_field',
          `the tensor ${name} holds values that are too large for ${type.name}; take another --precision`,
        );
      }
      await this.bytes(bytes);
    }
  }
}
