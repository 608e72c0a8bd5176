/**
 * The answers to a file's lines as far as they have come: one line each, in order, and on the disk before anybody is told. What a process left
 * when it was killed is opened again up to its last whole line. Knows nothing of what an answer says.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { tellFullDisk } from '../contracts/full-disk.ts';

const CHUNK_BYTES = 1 << 20;
const LINE_FEED = 0x0a;

export class AnswersFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  #bytes: number;

  private constructor(path: string, handle: FileHandle, bytes: number) {
    this.#path = path;
    this.#handle = handle;
    this.#bytes = bytes;
  }

  /** `accept` is told every answer that is there; from the first that it refuses, and from one that is torn, the file is cut off. */
  static async open(path: string, accept: (answer: string) => boolean): Promise<AnswersFile> {
    const handle = await openToWrite(path);
    try {
      const bytes = await soundBytes(handle, accept);
      await handle.truncate(bytes);
      await handle.sync();
      return new AnswersFile(path, handle, bytes);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** All of them or none, durable when it resolves. AppError disk_full. */
  async append(answers: readonly string[]): Promise<void> {
    const text = Buffer.from(answers.map((answer) => `${answer}\n`).join(''));
    try {
      await tellFullDisk(this.#path, 'free some space and run it again: it goes on from here', async () => {
        for (let written = 0; written < text.length; ) {
          const { bytesWritten } = await this.#handle.write(text, written, undefined, this.#bytes + written);
          written += bytesWritten;
        }
        await this.#handle.datasync();
      });
    } catch (error) {
      await this.#handle.truncate(this.#bytes);
      throw error;
    }
    this.#bytes += text.length;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

async function openToWrite(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    return open(path, 'wx+');
  }
}

async function soundBytes(handle: FileHandle, accept: (answer: string) => boolean): Promise<number> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  let sound = 0;
  let begun = Buffer.alloc(0);
  for (let position = 0; ; ) {
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, position);
    if (bytesRead === 0) return sound;
    position += bytesRead;
    let rest = Buffer.concat([begun, chunk.subarray(0, bytesRead)]);
    for (let end = rest.indexOf(LINE_FEED); end >= 0; end = rest.indexOf(LINE_FEED)) {
      if (!accept(rest.toString('utf8', 0, end))) return sound;
      sound += end + 1;
      rest = rest.subarray(end + 1);
    }
    begun = Buffer.from(rest);
  }
}
