/**
 * Files that callers leave with a service: their bytes under names of our own in one folder, what is known of them in one SQLite file beside
 * it. A file is whole before anybody can see it. Knows nothing of what is in one, nor of HTTP.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../contracts/errors.ts';
import { tellFullDisk } from '../contracts/full-disk.ts';
import { Database, type Row } from '../database/database.ts';
import { newId } from '../lib/ids.ts';

export interface NewFile {
  /** Chosen by who keeps it, unlike all others: the same id again gives the file that is there. */
  readonly id: string;
  /** The caller it belongs to. */
  readonly owner: string;
  readonly purpose: string;
  /** What its owner calls it; never a path here. */
  readonly name: string;
}

export interface StoredFile extends NewFile {
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Where its bytes lie. */
  readonly path: string;
}

/** Bytes that are on the disk, and that nobody can see yet. */
export interface ReceivedBytes {
  /** Unlike that of any other; the id of their file, where who keeps it has no other. */
  readonly blob: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface FileFilter {
  readonly owner?: string | undefined;
  readonly purpose?: string | undefined;
  /** Only those behind this one. */
  readonly after?: string | undefined;
  readonly oldestFirst: boolean;
  readonly limit: number;
}

const SCHEMA = [
  `CREATE TABLE files (
     sequence INTEGER PRIMARY KEY AUTOINCREMENT,
     id TEXT NOT NULL UNIQUE,
     owner TEXT NOT NULL,
     purpose TEXT NOT NULL,
     name TEXT NOT NULL,
     blob TEXT NOT NULL,
     bytes INTEGER NOT NULL,
     sha256 TEXT NOT NULL,
     created_at INTEGER NOT NULL
   ) STRICT;
   CREATE UNIQUE INDEX files_blobs ON files (blob);
   CREATE INDEX files_listed ON files (owner, sequence);`,
];

/** What belongs to no file and was not written to for so long was left by a process that died. */
const ABANDONED_MILLISECONDS = 60 * 60_000;

export class FileStore {
  readonly #folder: string;
  readonly #database: Database;

  private constructor(folder: string, database: Database) {
    this.#folder = folder;
    this.#database = database;
  }

  /** Makes what is not there yet in the data folder, and clears away what was never finished. */
  static async open(dataFolder: string): Promise<FileStore> {
    const store = new FileStore(join(dataFolder, 'files'), new Database(join(dataFolder, 'files.sqlite'), SCHEMA));
    await mkdir(store.#folder, { recursive: true });
    await store.#clear();
    return store;
  }

  /** Writes bytes to the disk as they come. AppError body_too_large, disk_full; whatever it rejects with, nothing is left. */
  async receive(bytes: AsyncIterable<Uint8Array>, mostBytes: number): Promise<ReceivedBytes> {
    const blob = newId('file');
    const path = this.#pathOf(blob);
    const hash = createHash('sha256');
    let length = 0;
    try {
      await tellFullDisk('the file', 'free some space and send it again', async () => {
        const handle = await open(path, 'wx');
        try {
          for await (const chunk of bytes) {
            length += chunk.length;
            if (length > mostBytes) throw new AppError('body_too_large', `a file may have at most ${mostBytes} bytes`);
            hash.update(chunk);
            await handle.writeFile(chunk);
          }
          await handle.sync();
        } finally {
          await handle.close();
        }
      });
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
    return { blob, bytes: length, sha256: hash.digest('hex') };
  }

  /** From here on it is there. A file of this id that is there already stays as it is, and the bytes are let go. */
  async keep({ blob, bytes, sha256 }: ReceivedBytes, file: NewFile): Promise<StoredFile> {
    const present = this.find(file.id);
    if (present === undefined) {
      await this.#syncFolder();
      this.#database.transaction(() =>
        this.#database.run(
          `INSERT INTO files (id, owner, purpose, name, blob, bytes, sha256, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (id) DO NOTHING`,
          ...[file.id, file.owner, file.purpose, file.name, blob, bytes, sha256, Date.now()],
        ),
      );
    }
    const kept = this.find(file.id);
    if (kept === undefined) throw new Error(`the file ${file.id} has vanished while it was kept`);
    if (kept.path !== this.#pathOf(blob)) await this.discard(blob);
    return kept;
  }

  async discard(blob: string): Promise<void> {
    await rm(this.#pathOf(blob), { force: true });
  }

  find(id: string): StoredFile | undefined {
    const row = this.#database.get('SELECT * FROM files WHERE id = ?', id);
    return row === undefined ? undefined : this.#fileOf(row);
  }

  list({ owner, purpose, after, oldestFirst, limit }: FileFilter): StoredFile[] {
    const edge = after === undefined ? undefined : this.#database.get('SELECT sequence FROM files WHERE id = ?', after);
    const from = Number(edge?.sequence ?? (oldestFirst ? 0 : Number.MAX_SAFE_INTEGER));
    const rows = this.#database.all(
      `SELECT * FROM files
       WHERE (?1 IS NULL OR owner = ?1) AND (?2 IS NULL OR purpose = ?2) AND sequence ${oldestFirst ? '>' : '<'} ?3
       ORDER BY sequence ${oldestFirst ? 'ASC' : 'DESC'} LIMIT ?4`,
      ...[owner ?? null, purpose ?? null, from, limit],
    );
    return rows.map((row) => this.#fileOf(row));
  }

  /** Who reads it at the moment reads it to its end. */
  async remove({ id, path }: StoredFile): Promise<void> {
    this.#database.transaction(() => this.#database.run('DELETE FROM files WHERE id = ?', id));
    await rm(path, { force: true });
  }

  close(): void {
    this.#database.close();
  }

  #pathOf(blob: string): string {
    return join(this.#folder, blob);
  }

  #fileOf(row: Row): StoredFile {
    return {
      id: String(row.id),
      owner: String(row.owner),
      purpose: String(row.purpose),
      name: String(row.name),
      bytes: Number(row.bytes),
      sha256: String(row.sha256),
      createdAt: Number(row.created_at),
      path: this.#pathOf(String(row.blob)),
    };
  }

  async #clear(): Promise<void> {
    for (const blob of await readdir(this.#folder)) {
      if (this.#database.get('SELECT 1 FROM files WHERE blob = ?', blob) !== undefined) continue;
      const found = await stat(this.#pathOf(blob)).catch(() => undefined);
      if (found !== undefined && Date.now() - found.mtimeMs > ABANDONED_MILLISECONDS) await this.discard(blob);
    }
  }

  /** Its names onto the disk. */
  async #syncFolder(): Promise<void> {
    const handle = await open(this.#folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}
