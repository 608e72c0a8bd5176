/**
 * A Hugging Face folder as a checkpoint: config.json, safetensors weights (one file, or shards by their index) and the text side.
 * Knows no architecture.
 */
import { readdir, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { describeIssues } from '@slipway/shared/lib/describe-issues.ts';
import { z } from 'zod';
import type { Checkpoint, SourceTensor } from '../checkpoint.ts';
import { readFolderText } from './hugging-face-text.ts';
import { readSafetensors } from './safetensors.ts';
import { describeFile, SourceFile } from './source-file.ts';
import { SourceFolder } from './source-folder.ts';

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
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

async function readWeights(folder: SourceFolder, opened: SourceFile[]): Promise<Map<string, SourceTensor>> {
  const open = async (name: string) => {
    const file = await SourceFile.open(join(folder.path, name));
    opened.push(file);
    return readSafetensors(file);
  };
  if (folder.has(SINGLE)) return open(SINGLE);
  if (!folder.has(INDEX)) throw missingWeights(folder);

  const { weight_map: map } = parse(Index, await folder.json(INDEX), INDEX);
  const shards = [...new Set(Object.values(map))];
  if (shards.length > MAX_SHARDS) {
    throw new AppError('invalid_source', `${INDEX}: names ${shards.length} files; the limit is ${MAX_SHARDS}`);
  }
  for (const shard of shards) {
    // A plain name only: the index must not reach outside the folder.
    if (!/^[\w.-]+\.safetensors$/.test(shard)) {
      throw new AppError(
        'invalid_source',
        `${INDEX}: ${JSON.stringify(shard)} is not the name of a .safetensors file in the folder`,
      );
    }
    if (!folder.has(shard))
      throw new AppError('invalid_source', `${folder.path}: the shard ${shard} is missing; ${INDEX} names it`);
  }
  const contents = new Map<string, Map<string, SourceTensor>>();
  for (const shard of shards) contents.set(shard, await open(shard));
  const tensors = new Map<string, SourceTensor>();
  for (const [name, shard] of Object.entries(map)) {
    const tensor = contents.get(shard)?.get(name);
    if (!tensor)
      throw new AppError(
        'invalid_source',
        `${shard}: the tensor ${JSON.stringify(name)} is missing; ${INDEX} says it is there`,
      );
    tensors.set(name, tensor);
  }
  return tensors;
}

function missingWeights(folder: SourceFolder): AppError {
  const pickles = [...folder.names].filter((name) => /^pytorch_model.*\.bin$|\.pth?$/.test(name));
  if (pickles.length > 0) {
    return new AppError(
      'unsupported_source',
      `${folder.path}: its weights are PyTorch pickles (${pickles[0]}), which can run code when they are read; save them as ${SINGLE}`,
    );
  }
  return new AppError('invalid_source', `${folder.path}: neither ${SINGLE} nor ${INDEX} is there`);
}

function parse<T>(schema: z.ZodType<T>, value: unknown, name: string): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new AppError('invalid_source', `${name}: ${describeIssues(parsed.error)}`);
  return parsed.data;
}
