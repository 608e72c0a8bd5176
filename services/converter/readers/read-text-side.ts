/**
 * The text side alone of a model that lies at a path: a checkpoint of any kind, or a folder with nothing but a tokenizer. Knows no weights.
 */
import { readdir, stat } from 'node:fs/promises';
import type { TextFiles } from '../checkpoint.ts';
import { readFolderText } from './hugging-face-text.ts';
import { openCheckpoint } from './open-checkpoint.ts';
import { SourceFolder } from './source-folder.ts';

const TOKENIZER_FILES = ['tokenizer.json', 'tokenizer.model', 'vocab.json'];

/** AppError as openCheckpoint throws it. */
export async function readTextSide(path: string): Promise<{ text: TextFiles; config: TextConfig }> {
  const at = await stat(path).catch(() => undefined);
  const names = new Set(at?.isDirectory() ? await readdir(path) : []);
  if (TOKENIZER_FILES.some((name) => names.has(name))) {
    const folder = new SourceFolder(path, names);
    const config = names.has('config.json') ? await folder.json('config.json') : {};
    return { text: await readFolderText(folder, config), config: configOf(config) };
  }
  const checkpoint = await openCheckpoint(path);
  try {
    return { text: checkpoint.text, config: configOf(checkpoint.config) };
  } finally {
    await checkpoint.close();
  }
}

export interface TextConfig {
  /** Tokens it takes, and rows of its embedding, as config.json has them. */
  readonly contextLength: number | undefined;
  readonly vocabularySize: number | undefined;
}

function configOf(config: unknown): TextConfig {
  const fields: Readonly<Record<string, unknown>> = typeof config === 'object' && config !== null ? { ...config } : {};
  const number = (...names: readonly string[]) => {
    const value = names.map((name) => fields[name]).find((one) => typeof one === 'number');
    return typeof value === 'number' ? value : undefined;
  };
  return {
    contextLength: number('max_position_embeddings', 'n_positions', 'n_ctx'),
    vocabularySize: number('vocab_size'),
  };
}
