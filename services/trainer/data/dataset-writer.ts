/**
 * Writes one prepared folder: tokens, masks, offsets and the examples they were made of, example by example, hashed while written. Owns
 * that no example is longer than it may be and that each has something to learn. Knows no text.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import type { DatasetKind } from './canonical.ts';
import { DATASET_FILE, type Dataset } from './dataset-file.ts';
import { HashedFile } from './hashed-file.ts';

export interface DatasetShape {
  readonly kind: DatasetKind;
  readonly vocabularySize: number;
  /** Longer examples are cut at their end; null: nothing is. */
  readonly maxLength: number | null;
}

/** What became of an example. */
export type Added = 'whole' | 'cut' | 'nothing-trained';

export class DatasetWriter {
  readonly #folder: string;
  readonly #shape: DatasetShape;
  readonly #files: ReadonlyMap<string, HashedFile>;
  #tokens = 0;
  #examples = 0;
  #supervised = 0;
  #truncated = 0;

  private constructor(folder: string, shape: DatasetShape, files: ReadonlyMap<string, HashedFile>) {
    this.#folder = folder;
    this.#shape = shape;
    this.#files = files;
  }

  static async create(folder: string, shape: DatasetShape): Promise<DatasetWriter> {
    // The files are what the processor writes; the kernel reads little-endian.
    if (endianness() !== 'LE') throw new Error('token files are written on little-endian machines only');
    await mkdir(folder, { recursive: true });
    const names = ['tokens.bin', 'offsets.bin', ...(shape.kind === 'examples' ? ['mask.bin'] : []), 'examples.jsonl'];
    const files = new Map<string, HashedFile>();
    for (const name of names) files.set(name, await HashedFile.create(join(folder, name)));
    const writer = new DatasetWriter(folder, shape, files);
    await writer.#writeOffset();
    return writer;
  }

  get examples(): number {
    return this.#examples;
  }

  /** `length`: tokens before `ids` were cut by somebody else. `mask` null: all are trained. */
  async add(line: string, ids: Uint32Array, mask: Uint8Array | null, length: number): Promise<Added> {
    const { kind, maxLength } = this.#shape;
    const kept = Math.min(ids.length, maxLength ?? ids.length);
    const keptMask = mask?.subarray(0, kept) ?? new Uint8Array(kept).fill(1);
    let supervised = 0;
    for (const trained of keptMask) supervised += trained;
    // The first token of a row is nobody's target.
    if (kind === 'examples' && (supervised === 0 || kept < 2)) return 'nothing-trained';
    const tokens = ids.subarray(0, kept);
    const narrow = this.#dtype === 'uint16' ? Uint16Array.from(tokens) : Uint32Array.from(tokens);
    await this.#file('tokens.bin').write(new Uint8Array(narrow.buffer));
    if (kind === 'examples') await this.#file('mask.bin').write(Uint8Array.from(keptMask));
    await this.#file('examples.jsonl').write(Buffer.from(`${line}\n`));
    this.#tokens += kept;
    this.#supervised += supervised;
    this.#examples++;
    await this.#writeOffset();
    if (kept === length) return 'whole';
    this.#truncated++;
    return 'cut';
  }

  /** The folder is whole when this resolves. */
  async finish(source: Dataset['source']): Promise<Dataset> {
    const sha256: Record<string, string> = {};
    for (const [name, file] of this.#files) sha256[name] = await file.close();
    const dataset: Dataset = {
      schema: 1,
      kind: this.#shape.kind,
      dtype: this.#dtype,
      tokens: this.#tokens,
      examples: this.#examples,
      supervised_tokens: this.#supervised,
      vocabulary_size: this.#shape.vocabularySize,
      max_length: this.#shape.maxLength,
      truncated: this.#truncated,
      sha256,
      source,
    };
    await writeFile(join(this.#folder, DATASET_FILE), `${JSON.stringify(dataset, null, 2)}\n`);
    return dataset;
  }

  async abandon(): Promise<void> {
    for (const file of this.#files.values()) await file.abandon();
  }

  get #dtype(): Dataset['dtype'] {
    return this.#shape.vocabularySize <= 65_536 ? 'uint16' : 'uint32';
  }

  #file(name: string): HashedFile {
    const file = this.#files.get(name);
    if (!file) throw new Error(`${name} is no file of this dataset`);
    return file;
  }

  async #writeOffset(): Promise<void> {
    await this.#file('offsets.bin').write(new Uint8Array(BigUint64Array.of(BigInt(this.#tokens)).buffer));
  }
}
