/**
 * `slipway tokenizer show`: what a tokenizer is, how it did on its holdout, and how it cuts a text.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { specialTokens } from '@slipway/shared/text/special-tokens.ts';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import { TokenizerStatistics } from '@slipway/trainer/tokenizer-statistics';
import { z } from 'zod';
import { bucketOf, type CommonOptions, print } from '../models/bucket-option.ts';
import { textTable } from '../text-table.ts';
import { shownTokens } from './shown-tokens.ts';
import { statisticsRows } from './statistics-rows.ts';

export interface ShowOptions extends CommonOptions {
  readonly text?: string;
}

interface TokenizerFiles {
  readonly label: string;
  readonly tokenizer: unknown;
  readonly config: unknown;
  readonly statistics: unknown;
}

const ModelKind = z.object({
  model: z.object({ type: z.string().default('BPE') }),
  added_tokens: z
    .array(z.object({ id: z.number(), content: z.string(), special: z.boolean().default(false) }))
    .default([]),
  post_processor: z.unknown(),
});

export async function show(place: string, options: ShowOptions): Promise<void> {
  const files = await readFiles(place, options);
  const tokenizer = loadTokenizer(files.tokenizer, files.config);
  const { model, added_tokens, post_processor } = ModelKind.parse(files.tokenizer);
  const { bos, eos, addBos } = specialTokens(post_processor, files.config);
  const statistics = files.statistics === undefined ? null : TokenizerStatistics.parse(files.statistics);
  const special = added_tokens.filter((token) => token.special).map(({ id, content }) => ({ id, content }));
  const ids = options.text === undefined ? [] : tokenizer.encode(options.text, { addBos: false, parseSpecial: false });
  const outcome = {
    tokenizer: files.label,
    model: model.type,
    vocabulary_size: tokenizer.vocabularySize,
    bos,
    eos,
    adds_bos: addBos,
    special_tokens: special,
    statistics,
    ...(options.text !== undefined && { tokens: ids.map((id) => ({ id, piece: tokenizer.pieceOf(id) })) }),
  };
  print(options, outcome, () => {
    const rows = [
      ['tokenizer', files.label],
      ['model', model.type],
      ['vocabulary', `${tokenizer.vocabularySize} tokens`],
      ['begins with', addBos ? (bos ?? '') : ''],
      ['ends with', eos ?? 'nothing'],
      ['special', special.map(({ id, content }) => `${content} ${id}`).join(', ')],
      ...(statistics === null ? [] : statisticsRows(statistics)),
    ].filter(([, value]) => value !== '');
    const table = textTable(['', ''], rows);
    return options.text === undefined ? table : `${table}\n\n${cutText(options.text, ids, tokenizer.bytesOf)}`;
  });
}

function cutText(text: string, ids: readonly number[], bytesOf: (id: number) => Uint8Array): string {
  const coloured = process.stdout.hasColors?.() === true;
  const perCharacter = ids.length / Math.max(1, Array.from(text).length);
  return `${shownTokens(ids.map(bytesOf), coloured)}\n\n${ids.length} tokens, ${perCharacter.toFixed(3)} per character\n${ids.join(' ')}`;
}

/** A folder with a tokenizer.json, or a version in the bucket. AppError not_found. */
async function readFiles(place: string, options: ShowOptions): Promise<TokenizerFiles> {
  if (existsSync(join(place, 'tokenizer.json'))) {
    const read = async (name: string) => {
      const path = join(place, name);
      return existsSync(path) ? parse(await readFile(path, 'utf8'), path) : undefined;
    };
    const [tokenizer, config, statistics] = await Promise.all([
      read('tokenizer.json'),
      read('tokenizer_config.json'),
      read('statistics.json'),
    ]);
    return { label: place, tokenizer, config, statistics };
  }
  if (existsSync(place)) throw new AppError('not_found', `${place} holds no tokenizer.json`);
  const bucket = bucketOf(options);
  const manifest = await bucket.resolve(place);
  const read = async (path: string) => parse((await buffer(await bucket.read(manifest, path))).toString('utf8'), path);
  const { tokenizer: path } = manifest.text;
  return {
    label: `${manifest.name}@${manifest.version}`,
    tokenizer: await read(path),
    config: await read(join(dirname(path), 'tokenizer_config.json')),
    statistics: undefined,
  };
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError('invalid_source', `${path} is no JSON`, { cause });
  }
}
