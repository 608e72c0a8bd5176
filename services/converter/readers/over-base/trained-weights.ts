/**
 * The weights that training left, as one set of lazy tensors: a single file, or a folder of shards that complete each other. Knows
 * their names only as the files have them, and no base.
 */
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Checkpoint, SourceTensor } from '../../checkpoint.ts';
import { readTorchParts } from '../pytorch/torch-file.ts';
import { readSafetensors } from '../safetensors.ts';
import { describeFile, SourceFile } from '../source-file.ts';
import { weightFiles } from './weight-files.ts';

export interface TrainedWeights {
  readonly label: string;
  readonly tensors: ReadonlyMap<string, SourceTensor>;
  /** Names of one and the same tensor. */
  readonly tied: readonly (readonly string[])[];
  /** What lay beside the weights and was left out. */
  readonly beside: readonly string[];
  describeFiles(): Promise<Checkpoint['files']>;
  close(): Promise<void>;
}

type FileContent = Pick<TrainedWeights, 'tensors' | 'tied' | 'beside'>;

/** AppError not_found, invalid_source (shards that are missing are named) or unsupported_source. Files stay open until `close`. */
export async function openTrainedWeights(path: string): Promise<TrainedWeights> {
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new AppError('not_found', `there is nothing at ${path}`);
  const paths = found.isDirectory() ? await filesOf(path) : [path];
  const files: SourceFile[] = [];
  const close = async () => {
    await Promise.all(files.map((file) => file.close()));
  };
  try {
    const tensors = new Map<string, SourceTensor>();
    const origins = new Map<string, string>();
    const tied: (readonly string[])[] = [];
    const beside: string[] = [];
    for (const each of paths) files.push(await SourceFile.open(each));
    for (const part of togetherRead(files)) {
      const content = await readParts(part);
      const names = part.map((file) => file.name).join(', ');
      for (const [name, tensor] of content.tensors) {
        const other = origins.get(name);
        if (other !== undefined) {
          throw new AppError(
            'invalid_source',
            `${path}: the tensor ${name} is in ${other} and in ${names}; give the one file that is meant`,
          );
        }
        origins.set(name, names);
        tensors.set(name, tensor);
      }
      tied.push(...content.tied);
      beside.push(...content.beside);
    }
    const label = basename(await realpath(path));
    return { label, tensors, tied, beside, describeFiles: () => Promise.all(files.map(describeFile)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** DeepSpeed's folder says in a file which of its own holds the newest checkpoint. */
async function filesOf(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  const latest = names.includes('latest') ? (await readFile(join(folder, 'latest'), 'utf8')).trim() : '';
  if (latest === '' || !names.includes(latest)) return weightFiles(names, folder).map((name) => join(folder, name));
  const newest = join(folder, latest);
  return weightFiles(await readdir(newest), newest).map((name) => join(newest, name));
}

/** Torch's files as one: each of FSDP's ranks holds a piece of every tensor. */
function togetherRead(files: readonly SourceFile[]): SourceFile[][] {
  const torch = files.filter(({ name }) => !/\.(safetensors|gguf)$/i.test(name));
  const others = files.filter((file) => !torch.includes(file));
  return [...others.map((file) => [file]), ...(torch.length > 0 ? [torch] : [])];
}

async function readParts(files: readonly SourceFile[]): Promise<FileContent> {
  const [file] = files;
  if (file?.name.endsWith('.safetensors')) return { tensors: await readSafetensors(file), tied: [], beside: [] };
  if (file && /\.gguf$/i.test(file.name)) {
    throw new AppError('invalid_source', `${file.name} brings its own configuration; convert it without --base`);
  }
  try {
    return await readTorchParts(files);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    // Several dicts may hold tensors, policy and critic say. Their keys become prefixes, and the base tells which are meant.
    return readTorchParts(files, { choose: '' });
  }
}
