/**
 * A Hugging Face folder as a checkpoint: config.json, weights (safetensors, or else torch's .bin; one file, or shards by their
 * index) and the text side. Knows no architecture.
 */
import { readdir, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { describeIssues } from '@slipway/shared/lib/describe-issues.ts';
import { z } from 'zod';
import type { Checkpoint, SourceTensor } from '../checkpoint.ts';
import { readFolderText } from './hugging-face-text.ts';
import { isMetaLlama, openMetaLlama } from './pytorch/meta-llama-folder.ts';
import { readTorchTensors } from './pytorch/torch-file.ts';
import { readSafetensors } from './safetensors.ts';
import { describeFile, SourceFile } from './source-file.ts';
import { SourceFolder } from './source-folder.ts';

interface WeightFormat {
  readonly single: string;
  readonly index: string;
  /** What a shard is called: a plain name only, the index must not reach outside the folder. */
  readonly shard: RegExp;
  readonly read: (file: SourceFile) => Promise<ReadonlyMap<string, SourceTensor>>;
}

/** The first that is there counts. */
const FORMATS: readonly WeightFormat[] = [
  {
    single: 'model.safetensors',
    index: 'model.safetensors.index.json',
    shard: /^[\w.-]+\.safetensors$/,
    read: readSafetensors,
  },
  {
    single: 'pytorch_model.bin',
    index: 'pytorch_model.bin.index.json',
    shard: /^[\w.-]+\.bin$/,
    read: async (file) => (await readTorchTensors(file)).tensors,
  },
];
const MAX_SHARDS = 4_096;

const Config = z.record(z.string(), z.unknown());
const Index = z.object({ weight_map: z.record(z.string(), z.string()) });

/** AppError invalid_source or unsupported_source. Weight files stay open until `close`. */
export async function openHuggingFaceFolder(path: string): Promise<Checkpoint> {
  const folder = new SourceFolder(path, new Set(await list(path)));
  const opened: SourceFile[] = [];
  const close = async () => {
    await Promise.all(opened.map((file) => file.close()));
  };
  try {
    if (!folder.has('config.json')) {
      if (isMetaLlama(folder)) return await openMetaLlama(folder);
      const gguf = [...folder.names].filter((name) => /\.gguf$/i.test(name));
      const hint = gguf.length > 0 ? `; it holds ${gguf.join(', ')}: name that file` : '';
      throw new AppError('invalid_source', `${path}: config.json is missing${hint}`);
    }
    const config = parse(Config, await folder.json('config.json'), 'config.json');
    const text = await readFolderText(folder, config);
    const tensors = await readWeights(folder, opened);
    const weights = await Promise.all(opened.map(describeFile));
    return {
      kind: 'hugging-face-folder',
      label: basename(await realpath(path)),
      files: [...folder.read, ...weights],
      config,
      tensors,
      text,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function list(path: string): Promise<string[]> {
  return readdir(path).catch((cause: unknown) => {
    throw new AppError('invalid_source', `cannot look into ${path}: ${String(cause)}`, { cause });
  });
}

async function readWeights(folder: SourceFolder, opened: SourceFile[]): Promise<ReadonlyMap<string, SourceTensor>> {
  const format = FORMATS.find(({ single, index }) => folder.has(single) || folder.has(index));
  if (!format) throw missingWeights(folder);
  const open = async (name: string) => {
    const file = await SourceFile.open(join(folder.path, name));
    opened.push(file);
    return format.read(file);
  };
  if (folder.has(format.single)) return open(format.single);

  const { index } = format;
  const { weight_map: map } = parse(Index, await folder.json(index), index);
  const shards = [...new Set(Object.values(map))];
  if (shards.length > MAX_SHARDS) {
    throw new AppError('invalid_source', `${index}: names ${shards.length} files; the limit is ${MAX_SHARDS}`);
  }
  for (const shard of shards) {
    if (!format.shard.test(shard)) {
      const ending = format.single.slice(format.single.lastIndexOf('.'));
      throw new AppError(
        'invalid_source',
        `${index}: ${JSON.stringify(shard)} is not the name of a ${ending} file in the folder`,
      );
    }
    if (!folder.has(shard))
      throw new AppError('invalid_source', `${folder.path}: the shard ${shard} is missing; ${index} names it`);
  }
  const contents = new Map<string, ReadonlyMap<string, SourceTensor>>();
  for (const shard of shards) contents.set(shard, await open(shard));
  const tensors = new Map<string, SourceTensor>();
  for (const [name, shard] of Object.entries(map)) {
    const tensor = contents.get(shard)?.get(name);
    if (!tensor)
      throw new AppError(
        'invalid_source',
        `${shard}: the tensor ${JSON.stringify(name)} is missing; ${index} says it is there`,
      );
    tensors.set(name, tensor);
  }
  return tensors;
}

function missingWeights(folder: SourceFolder): AppError {
  const names = FORMATS.flatMap(({ single, index }) => [single, index]).join(', ');
  const pickles = [...folder.names].filter((name) => /\.(pth?|bin)$/.test(name));
  const hint = pickles.length > 0 ? `; it holds ${pickles.join(', ')}` : '';
  return new AppError('invalid_source', `${folder.path}: has none of ${names}${hint}`);
}

function parse<T>(schema: z.ZodType<T>, value: unknown, name: string): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new AppError('invalid_source', `${name}: ${describeIssues(parsed.error)}`);
  return parsed.data;
}
