/**
 * Files that torch.save wrote, as lazy tensors: the one door of this folder. No Python runs, and no name in a file leads to anything
 * but the making of tensors. Knows no model.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { SourceTensor } from '../../checkpoint.ts';
import { SourceFile } from '../source-file.ts';
import { type FoundTensor, joinPieces } from './join-pieces.ts';
import { findStateDict } from './state-dict.ts';
import { storedTensor } from './stored-tensor.ts';
import { openContainer } from './torch-containers.ts';

export interface TorchTensors {
  /** Keys down to the dict that holds the weights, joined by dots (`model`, `state_dict`, `actor.model`); empty for the top. */
  readonly path: string;
  /** By name below `path`, nested dicts joined by dots. Integers and booleans are read as float32 too. */
  readonly tensors: ReadonlyMap<string, SourceTensor>;
  /** Names of one tensor: same storage, offset, shape and strides. Each group has two names or more, in the file's order. */
  readonly tied: readonly (readonly string[])[];
  /** Paths of what was left out: optimizer state (not read), loose tensors beside the dict. Sorted. */
  readonly beside: readonly string[];
}

export interface TorchFile extends TorchTensors {
  /** For describing it; closed by `close`. */
  readonly file: SourceFile;
  close(): Promise<void>;
}

export interface TorchFileOptions {
  /** The path of the dict that is meant, where several hold tensors (`actor`, `critic`); '' takes all of them from the top. */
  readonly choose?: string;
}

/**
 * Opens a .pt, .pth or .bin: a zip archive, or the format before torch 1.6. The caller closes it.
 * AppError invalid_source: broken, no tensors, or several candidates and no choice (names them); unsupported_source: not from
 * torch.save, or it names Python code other than what rebuilds tensors (names it; nothing was read then).
 */
export async function openTorchFile(path: string, options: TorchFileOptions = {}): Promise<TorchFile> {
  const file = await SourceFile.open(path);
  try {
    return { ...(await readTorchTensors(file, options)), file, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The same of a file that is open already; tensors can be read until it is closed. */
export function readTorchTensors(file: SourceFile, options: TorchFileOptions = {}): Promise<TorchTensors> {
  return readTorchParts([file], options);
}

/**
 * Of files that make up one state dict: each holds some of the tensors, or each rank's file a piece of every one (FSDP's DTensors), in
 * any order. AppError also when pieces are missing, or a name is in two files and no piece.
 */
export async function readTorchParts(
  files: readonly SourceFile[],
  { choose }: TorchFileOptions = {},
): Promise<TorchTensors> {
  const found = new Map<string, FoundTensor[]>();
  const tied = new Map<string, readonly string[]>();
  const beside = new Set<string>();
  const paths = new Set<string>();
  for (const file of files) {
    const { value, locate } = await openContainer(file);
    const state = findStateDict(value, file.name, choose);
    paths.add(state.path);
    for (const path of state.beside) beside.add(path);
    const positions = new Map<string, number>();
    const groups = new Map<string, string[]>();
    for (const [name, { spec }] of state.tensors) {
      const storage = `${spec.storageKey} ${spec.storageBytes}`;
      const position = positions.get(storage) ?? (await locate(spec));
      positions.set(storage, position);
      const tensor = { tensor: storedTensor(file, name, spec, position), piece: spec.piece, file: file.name };
      listOf(found, name).push(tensor);
      listOf(groups, JSON.stringify([storage, spec.type.name, spec.offset, spec.shape, spec.strides])).push(name);
    }
    for (const names of groups.values()) if (names.length > 1) tied.set(names.join('\0'), names);
  }
  if (paths.size > 1) {
    throw new AppError(
      'invalid_source',
      `${files.map(({ name }) => name).join(', ')}: the weights lie under different keys: ${[...paths].join(', ')}`,
    );
  }
  const ranks = [...found.values()].some((parts) => parts.some(({ piece }) => piece));
  const tensors = new Map([...found].map(([name, parts]) => [name, joinPieces(name, parts, ranks)]));
  return { path: [...paths].join(), tensors, tied: [...tied.values()], beside: [...beside].toSorted() };
}

function listOf<T>(lists: Map<string, T[]>, key: string): T[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}
