/**
 * The small files of a checkpoint's folder: each is read once, whole, with a limit, and remembered with its hash.
 * Knows nothing of what they mean.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { SourceFile } from './source-file.ts';

const MAX_SMALL_FILE = 256 << 20;

export class SourceFolder {
  readonly path: string;
  readonly names: ReadonlySet<string>;
  /** What was read so far, for Checkpoint.files. */
  readonly read: { readonly name: string; readonly bytes: number; readonly sha256: string }[] = [];

  constructor(path: string, names: ReadonlySet<string>) {
    this.path = path;
    this.names = names;
  }

  has(name: string): boolean {
    return this.names.has(name);
  }

  async bytes(name: string): Promise<Buffer> {
    const file = await SourceFile.open(join(this.path, name));
    try {
      if (file.size > MAX_SMALL_FILE) {
        throw new AppError(
          'invalid_source',
          `${name}: ${file.size} bytes; the limit for such a file is ${MAX_SMALL_FILE}`,
        );
      }
      const bytes = await file.read(0, file.size);
      this.read.push({ name, bytes: file.size, sha256: createHash('sha256').update(bytes).digest('hex') });
      return bytes;
    } finally {
      await file.close();
    }
  }

  async text(name: string): Promise<string> {
    return (await this.bytes(name)).toString('utf8');
  }

  /** AppError invalid_source when it is no JSON. */
  async json(name: string): Promise<unknown> {
    const text = await this.text(name);
    try {
      return JSON.parse(text);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new AppError('invalid_source', `${join(this.path, name)} is not valid JSON: ${why}`, { cause });
    }
  }
}
