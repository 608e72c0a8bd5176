/**
 * A file that torch.save wrote, as lazy tensors: the one door of this folder. No Python runs, and no name in the file leads to
 * anything but the making of tensors. Knows no model.
 */
import type { SourceTensor } from '../../checkpoint.ts';
import { SourceFile } from '../source-file.ts';
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
export async function readTorchTensors(file: SourceFile, { choose }: TorchFileOptions = {}): Promise<TorchTensors> {
  const { value, locate } = await openContainer(file);
  const { path, tensors: found, beside } = findStateDict(value, file.name, choose);
  const positions = new Map<string, number>();
  const tensors = new Map<string, SourceTensor>();
  const groups = new Map<string, string[]>();
  for (const [name, { spec }] of found) {
    const storage = `${spec.storageKey} ${spec.storageBytes}`;
    const position = positions.get(storage) ?? (await locate(spec));
    positions.set(storage, position);
    tensors.set(name, storedTensor(file, name, spec, position));
    const same = JSON.stringify([storage, spec.type.name, spec.offset, spec.shape, spec.strides]);
    groups.set(same, [...(groups.get(same) ?? []), name]);
  }
  return { path, tensors, tied: [...groups.values()].filter((names) => names.length > 1), beside };
}
