/**
 * A file that is written once, from beginning to end, and hashed meanwhile. Knows nothing of what is in it.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';

const BUFFERED_BYTES = 1 << 20;

export class HashedFile {
  readonly #handle: FileHandle;
  readonly #hash = createHash('sha256');
  #parts: Uint8Array[] = [];
  #buffered = 0;
  bytes = 0;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Fails when there is one of that name. */
  static async create(path: string): Promise<HashedFile> {
    return new HashedFile(await open(path, 'wx'));
  }

  /** Keeps the bytes until they are written: they must not be changed. */
  async write(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    this.#parts.push(bytes);
    this.#buffered += bytes.length;
    this.bytes += bytes.length;
    if (this.#buffered >= BUFFERED_BYTES) await this.#flush();
  }

  /** On the disk; hex sha256. */
  async close(): Promise<string> {
    await this.#flush();
    await this.#handle.sync();
    await this.#handle.close();
    return this.#hash.digest('hex');
  }

  /** Closes it without a result. */
  async abandon(): Promise<void> {
    await this.#handle.close();
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#buffered = 0;
    this.#hash.update(bytes);
    for (let written = 0; written < bytes.length; ) {
      written += (await this.#handle.write(bytes, written)).bytesWritten;
    }
  }
}
