/**
 * The one door of the readers: finds out what lies at a path and opens it. Knows the kinds of source, not their contents.
 */
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { openGguf } from './gguf-checkpoint.ts';
import { openHuggingFaceFolder } from './hugging-face-folder.ts';
import { isLlama2c, openLlama2c } from './llama2c.ts';
import { ADAPTER_CONFIG, openPeftAdapter } from './over-base/peft-adapter.ts';
import { openWeightsOverBase } from './over-base/weights-over-base.ts';
import { openTorchFile } from './pytorch/torch-file.ts';
import { SourceFile } from './source-file.ts';

const WHAT_IS_READ =
  "a Hugging Face folder, a .gguf file, a llama2.c .bin checkpoint, an adapter's folder, or, with --base, weights out of training";

/**
 * Opens a source; `base`: what an adapter changes, or what weights without a configuration are weights of. Tensors are read when
 * asked for; the caller closes it.
 * AppError not_found, invalid_source (it is broken: says what and where) or unsupported_source (it is something else).
 */
export async function openCheckpoint(path: string, base?: string): Promise<Checkpoint> {
  const isAdapter = await stat(join(path, ADAPTER_CONFIG)).catch(() => undefined);
  if (isAdapter) return openPeftAdapter(path, base, openWhole);
  return base === undefined ? openWhole(path) : openWeightsOverBase(path, base, openWhole);
}

/** What stands by itself. */
async function openWhole(path: string): Promise<Checkpoint> {
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new AppError('not_found', `there is nothing at ${path}`);
  if (found.isDirectory()) return openHuggingFaceFolder(path);
  return openByContent(path);
}

async function openByContent(path: string): Promise<Checkpoint> {
  const file = await SourceFile.open(path);
  let head: Buffer;
  try {
    head = await file.read(0, Math.min(file.size, 64));
  } finally {
    await file.close();
  }
  const name = basename(path);
  if (head.toString('latin1', 0, 4) === 'GGUF' || /\.gguf$/i.test(name)) return openGguf(path);
  if (/\.safetensors$/i.test(name)) {
    throw new AppError(
      'invalid_source',
      `${name}: config.json and the tokenizer are needed as well: give the folder it lies in, or the model it was trained from with --base FOLDER`,
    );
  }
  if (isLlama2c(head, file.size)) return openLlama2c(path);
  if (isPickle(head) || /\.(pth?|ckpt|pkl|pickle)$/i.test(name)) {
    // What is wrong with the file itself comes first.
    const { tensors, close } = await openTorchFile(path);
    await close();
    throw new AppError(
      'unsupported_source',
      `${name} holds ${tensors.size} tensors alone; config.json and the tokenizer are needed as well: give the folder of the model it was trained from with --base FOLDER`,
    );
  }
  throw new AppError('invalid_source', `${name} is none of what can be read: ${WHAT_IS_READ}`);
}

/** torch.save: a zip file, or a bare pickle of protocol 2 and up. */
function isPickle(head: Buffer): boolean {
  return head.toString('latin1', 0, 4) === 'PK\x03\x04' || (head[0] === 0x80 && (head[1] ?? 255) <= 5);
}
