/**
 * What a bucket's small JSON documents need of a store: made once and whole, never changed, and but for those of file sets never removed.
 * The one thing asked of it that is not reading and writing is that of two who create one key, exactly one succeeds; all agreement
 * between processes rests on that.
 */
import { chmod, link, mkdir, readdir, readFile, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode, syncToDisk, writeDurably } from './durable-files.ts';
import type { StagingArea } from './staging-area.ts';

export interface Records {
  /** For messages: where a key lies. */
  where(key: string): string;
  /** Names directly below a folder (its key ends with a slash), in no order; those of folders end with a slash. */
  list(folder: string): Promise<string[]>;
  read(key: string): Promise<string | undefined>;
  /** Durable when it resolves. False when the key is there already with another text. */
  create(key: string, text: string): Promise<boolean>;
  /** Only of a file set. Nothing happens when it is not there. */
  remove(key: string): Promise<void>;
}

export function folderRecords(root: string, staging: StagingArea): Records {
  return {
    where: (key) => join(root, key),
    async list(folder) {
      try {
        const entries = await readdir(join(root, folder), { withFileTypes: true });
        return entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name));
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return [];
        throw error;
      }
    },
    async read(key) {
      try {
        return await readFile(join(root, key), 'utf8');
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return undefined;
        throw error;
      }
    },
    async create(key, text) {
      const target = join(root, key);
      const place = await staging.open();
      try {
        const written = join(place.path, 'record.json');
        await writeDurably(written, text);
        await chmod(written, 0o644);
        await mkdir(dirname(target), { recursive: true });
        // link() gives the whole file its name, or fails because another took that name.
        await link(written, target);
      } catch (error) {
        if (errorCode(error) === 'EEXIST') return false;
        throw error;
      } finally {
        await place.remove('published');
      }
      await syncToDisk(dirname(target));
      return true;
    },
    async remove(key) {
      try {
        await unlink(join(root, key));
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return;
        throw error;
      }
      await syncToDisk(dirname(join(root, key)));
    },
  };
}
