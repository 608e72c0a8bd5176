/**
 * One file of a checkpoint: positional reads that either fill their range or fail by name, and its sha256.
 * Knows nothing of what is in the file. Nothing is mapped or kept: memory is what the caller asks for.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';

const HASH_CHUNK = 1 << 20;

export class SourceFile {
  readonly path: string;
  /** Base name, for messages. */
  readonly name: string;
  /** Bytes, as it was when opened. */
  readonly size: number;
  readonly #handle: FileHandle;

  private constructor(path: string, size: number, handle: FileHandle) {
    this.path = path;
    this.name = basename(path);
    this.size = size;
    this.#handle = handle;
  }

  /** AppError invalid_source when there is no readable regular file. */
  static async open(path: string): Promise<SourceFile> {
    let handle: FileHandle;
    try {
      handle = await open(path, 'r');
    } catch (cause) {
      throw new AppError('invalid_source', `cannot open ${path}: ${reason(cause)}`, { cause });
    }
    const stat = await handle.stat();
    if (!stat.isFile()) {
      await handle.close();
      throw new AppError('invalid_source', `${path} is not a regular file`);
    }
    return new SourceFile(path, stat.size, handle);
  }

  /** Fills `into` from `position`. AppError invalid_source when the file ends before. */
  async readInto(into: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < into.length) {
      const { bytesRead } = await this.#handle.read(into, done, into.length - done, position + done);
      if (bytesRead === 0) {
        throw new AppError(
          'invalid_source',
          `${this.name} is truncated: ${into.length} bytes at ${position} are needed, the file ends at ${position + done}`,
        );
      }
      done += bytesRead;
    }
  }

  async read(position: number, length: number): Promise<Buffer<ArrayBuffer>> {
    const bytes = Buffer.allocUnsafeSlow(length);
    await this.readInto(bytes, position);
    return bytes;
  }

  /** Hex. Two buffers in turn, so that the disk reads while the processor hashes. */
  async sha256(): Promise<string> {
    const hash = createHash('sha256');
    const buffers = [Buffer.allocUnsafeSlow(HASH_CHUNK), Buffer.allocUnsafeSlow(HASH_CHUNK)] as const;
    const load = async (chunk: number) => {
      const start = chunk * HASH_CHUNK;
      const part = buffers[chunk % 2 === 0 ? 0 : 1].subarray(0, Math.max(0, Math.min(HASH_CHUNK, this.size - start)));
      await this.readInto(part, start);
      return part;
    };
    let next = load(0);
    for (let chunk = 0; chunk * HASH_CHUNK < this.size; chunk++) {
      const part = await next;
      next = load(chunk + 1);
      hash.update(part);
    }
    await next;
    return hash.digest('hex');
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** What a Checkpoint says of its files. */
export async function describeFile(file: SourceFile): Promise<{ name: string; bytes: number; sha256: string }> {
  return { name: file.name, bytes: file.size, sha256: await file.sha256() };
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
