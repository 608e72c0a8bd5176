/**
 * A PEFT adapter over its base as one checkpoint: finds the base, opens the adapter's files, and takes the tokenizer that was trained
 * with. Knows no arithmetic.
 */
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Checkpoint, SourceTensor, TextFiles } from '../../checkpoint.ts';
import { readFolderText } from '../hugging-face-text.ts';
import { readTorchTensors } from '../pytorch/torch-file.ts';
import { readSafetensors } from '../safetensors.ts';
import { describeFile, SourceFile } from '../source-file.ts';
import { SourceFolder } from '../source-folder.ts';
import { parseAdapterConfig } from './adapter-config.ts';
import { applyAdapter } from './apply-adapter.ts';
import { filesOfBoth, type OpenSource, openBase } from './base-model.ts';

export const ADAPTER_CONFIG = 'adapter_config.json';
const WEIGHTS = ['adapter_model.safetensors', 'adapter_model.bin'] as const;
const VOCABULARIES = [['tokenizer.json'], ['tokenizer.model'], ['vocab.json', 'merges.txt']];

/**
 * `base`: where the base lies; without it, the folder that adapter_config.json names, where it is one. AppError not_found,
 * invalid_source or unsupported_source. The files stay open until `close`.
 */
export async function openPeftAdapter(path: string, base: string | undefined, open: OpenSource): Promise<Checkpoint> {
  const folder = new SourceFolder(path, new Set(await readdir(path)));
  const label = basename(await realpath(path));
  const configLabel = `${label}/${ADAPTER_CONFIG}`;
  const lora = parseAdapterConfig(await folder.json(ADAPTER_CONFIG), configLabel);
  const weights = WEIGHTS.find((name) => folder.has(name));
  if (weights === undefined) {
    throw new AppError('invalid_source', `${path}: the adapter's weights are missing: ${WEIGHTS.join(' or ')}`);
  }
  const over = await openBase(base ?? (await namedBase(lora.baseName, path, configLabel)), open);
  const file = await SourceFile.open(join(path, weights)).catch(async (error: unknown) => {
    await over.close();
    throw error;
  });
  const close = async () => {
    await Promise.all([file.close(), over.close()]);
  };
  try {
    if (over.tensors.size === 0) {
      throw new AppError(
        'invalid_source',
        `the base ${over.label} has no weights, and an adapter only says how they change; give the whole model`,
      );
    }
    const tensors = await readWeights(file);
    const adapted = await applyAdapter(over, lora, tensors, `${label}/${weights}`);
    const text = await readText(folder, over, adapted.resized);
    const own = [...folder.read, await describeFile(file)];
    return {
      kind: 'peft-adapter',
      label,
      files: filesOfBoth({ label, files: own }, over),
      config: adapted.config,
      tensors: adapted.tensors,
      text,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function readWeights(file: SourceFile): Promise<ReadonlyMap<string, SourceTensor>> {
  return file.name.endsWith('.bin') ? (await readTorchTensors(file)).tensors : readSafetensors(file);
}

/** As transformers does: a path from here, or from the adapter's folder. A name on a hub is not looked up. */
async function namedBase(name: string | null, path: string, configLabel: string): Promise<string> {
  for (const candidate of name === null ? [] : [name, resolve(path, name)]) {
    const found = await stat(candidate).catch(() => undefined);
    if (found?.isDirectory()) return candidate;
  }
  const says = name === null ? 'names no base' : `was trained over ${JSON.stringify(name)}, which is no folder here`;
  throw new AppError('invalid_source', `${configLabel} ${says}; say where the base lies with --base FOLDER`);
}

/** The tokenizer that lies beside the adapter is the one it was trained with. */
async function readText(folder: SourceFolder, base: Checkpoint, resized: boolean): Promise<TextFiles> {
  if (!VOCABULARIES.some((files) => files.every((name) => folder.has(name)))) {
    if (!resized) return base.text;
    throw new AppError(
      'invalid_source',
      `${folder.path}: the adapter resized the vocabulary and has no tokenizer; copy the one it was trained with (tokenizer.json, tokenizer_config.json) into its folder`,
    );
  }
  const own = await readFolderText(folder, base.config);
  return {
    ...base.text,
    ...own,
    chatTemplate: own.chatTemplate ?? base.text.chatTemplate,
    // An adapter's folder has no generation_config.json of its own.
    eosTokenIds: [...new Set([...own.eosTokenIds, ...base.text.eosTokenIds])],
  };
}
