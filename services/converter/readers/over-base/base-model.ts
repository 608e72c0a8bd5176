/**
 * The base that something is converted over: any source that can be read, or a folder that has only a configuration and a tokenizer.
 * Knows nothing of what comes over it.
 */
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { z } from 'zod';
import type { Checkpoint, SourceTensor } from '../../checkpoint.ts';
import { readFolderText } from '../hugging-face-text.ts';
import { SourceFolder } from '../source-folder.ts';

export type OpenSource = (path: string) => Promise<Checkpoint>;

export const EMBEDDINGS = ['model.embed_tokens.weight', 'transformer.wte.weight', 'wte.weight', 'embed_tokens.weight'];
export const HEAD = 'lm_head.weight';

const WEIGHTS = /^(model\.safetensors|pytorch_model\.bin)(\.index\.json)?$/;
/** Families whose head is the embedding unless their configuration says otherwise; the others say so when it is. */
const TIED_UNLESS_SAID = ['gpt2', 'gemma3_text'];

/** A base without weights has no tensors. AppError not_found, invalid_source or unsupported_source. */
export async function openBase(path: string, open: OpenSource): Promise<Checkpoint> {
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new AppError('not_found', `there is no base at ${path}`);
  if (!found.isDirectory()) return open(path);
  const names = await readdir(path);
  if (!names.includes('config.json') && names.includes('adapter_config.json')) {
    throw new AppError(
      'invalid_source',
      `${path}: the base is an adapter itself; give the model it was trained on, or merge the two with peft first`,
    );
  }
  if (names.some((name) => WEIGHTS.test(name))) return open(path);
  const folder = new SourceFolder(path, new Set(names));
  if (!folder.has('config.json')) throw new AppError('invalid_source', `${path}: the base has no config.json`);
  const config = z.record(z.string(), z.unknown()).safeParse(await folder.json('config.json'));
  if (!config.success) throw new AppError('invalid_source', `${path}: config.json is no object`);
  const text = await readFolderText(folder, config.data);
  return {
    kind: 'hugging-face-folder',
    label: basename(await realpath(path)),
    files: folder.read,
    config: config.data,
    tensors: new Map(),
    text,
    close: async () => {},
  };
}

/** Whether a model of this configuration uses its embedding as its head, as the architectures see it. */
export function isTied(config: Readonly<Record<string, unknown>>, tensors: ReadonlyMap<string, SourceTensor>): boolean {
  const said = config.tie_word_embeddings;
  if (typeof said === 'boolean') return said;
  return !tensors.has(HEAD) || TIED_UNLESS_SAID.includes(String(config.model_type));
}

/** The files of both, each under what it belongs to. */
export function filesOfBoth(over: Pick<Checkpoint, 'label' | 'files'>, base: Pick<Checkpoint, 'label' | 'files'>) {
  const named = ({ label, files }: Pick<Checkpoint, 'label' | 'files'>, role: string) =>
    files.map((file) => ({
      ...file,
      name: label === file.name ? `${role}: ${label}` : `${role}: ${label}/${file.name}`,
    }));
  return [...named(over, 'weights'), ...named(base, 'base')];
}
