/**
 * The text side of a GGUF file: `tokenizer.ggml.*` metadata as Hugging Face's tokenizer.json and tokenizer_config.json, special ids
 * and the chat template. Defaults are llama.cpp's. Knows nothing of tensors.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { TextFiles } from '../checkpoint.ts';
import { BOS_BY_DEFAULT, BYTE_LEVEL_STYLES } from './byte-level-styles.ts';
import type { GgufHeader, GgufValue } from './gguf.ts';
import { byteLevelFiles, type Piece, type PieceKind, type SpecialIds, sentencePieceFiles } from './tokenizer-files.ts';

/** `tokenizer.ggml.token_type`, by its number. */
const KINDS: readonly PieceKind[] = ['normal', 'normal', 'unknown', 'control', 'user', 'unused', 'byte'];

/** Control tokens that end a turn or a text whatever the metadata says, as in llama.cpp. */
const ENDINGS: ReadonlySet<string> = new Set([
  '<|eot_id|>',
  '<|eom_id|>',
  '<|im_end|>',
  '<|end|>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<end_of_turn>',
]);

/** AppError invalid_source when the metadata contradict themselves; unsupported_source names the kind of tokenizer. */
export function ggufText(header: GgufHeader, fileName: string): TextFiles {
  const read = new TokenizerMetadata(header, fileName);
  const model = read.string('model');
  const pieces = readPieces(read);
  const sentencePiece = model === 'llama';
  const style = read.string('pre') ?? 'default';
  const ids: SpecialIds = {
    bos: read.id('bos_token_id', pieces) ?? (sentencePiece ? defaultId(pieces, 1, '<s>') : null),
    eos: read.id('eos_token_id', pieces) ?? (sentencePiece ? defaultId(pieces, 2, '</s>') : null),
    unknown: read.id('unknown_token_id', pieces) ?? (sentencePiece ? defaultId(pieces, 0, '<unk>') : null),
    padding: read.id('padding_token_id', pieces),
    addBos: read.boolean('add_bos_token') ?? (sentencePiece || BOS_BY_DEFAULT.has(style)),
  };
  const files = sentencePiece
    ? sentencePieceFiles(pieces, read.boolean('add_space_prefix') ?? true, ids)
    : byteLevel(read, model, style, pieces, ids);
  const template = header.metadata.get('tokenizer.chat_template');
  return {
    ...files,
    chatTemplate: typeof template === 'string' ? template : null,
    bosTokenId: ids.bos,
    eosTokenIds: endings(read, pieces, ids.eos),
    addBos: ids.addBos && ids.bos !== null,
  };
}

function byteLevel(
  read: TokenizerMetadata,
  model: string | undefined,
  styleName: string,
  pieces: readonly Piece[],
  ids: SpecialIds,
) {
  if (model !== 'gpt2') {
    const what = model === undefined ? 'no tokenizer' : `a tokenizer of the kind ${JSON.stringify(model)}`;
    throw new AppError(
      'unsupported_source',
      `${read.fileName}: holds ${what}; "gpt2" (byte-level BPE) and "llama" (SentencePiece BPE) are read`,
    );
  }
  const style = BYTE_LEVEL_STYLES.get(styleName);
  if (!style) {
    throw new AppError(
      'unsupported_source',
      `${read.fileName}: tokenizer.ggml.pre is ${JSON.stringify(styleName)}; known are ${[...BYTE_LEVEL_STYLES.keys()].join(', ')}. ` +
        'Convert from the model’s Hugging Face folder instead',
    );
  }
  const merges = read.array('merges', 'string');
  if (!merges) throw read.fail('merges are missing');
  return byteLevelFiles(pieces, merges, style, ids);
}

function readPieces(read: TokenizerMetadata): Piece[] {
  const texts = read.array('tokens', 'string');
  if (!texts || texts.length === 0) throw read.fail('tokens are missing');
  const kinds = read.array('token_type', 'number');
  const scores = read.array('scores', 'number');
  if (kinds && kinds.length !== texts.length) throw read.fail(`${kinds.length} token types for ${texts.length} tokens`);
  if (scores && scores.length !== texts.length) throw read.fail(`${scores.length} scores for ${texts.length} tokens`);
  return texts.map((text, i) => ({ text, score: scores?.[i] ?? 0, kind: KINDS[kinds?.[i] ?? 1] ?? 'normal' }));
}

/** llama.cpp's ids for a SentencePiece vocabulary that says none, if they hold what they should. */
function defaultId(pieces: readonly Piece[], id: number, text: string): number | null {
  return pieces[id]?.text === text ? id : null;
}

function endings(read: TokenizerMetadata, pieces: readonly Piece[], eos: number | null): number[] {
  const ids = new Set<number>();
  for (const id of [eos, read.id('eot_token_id', pieces), read.id('eom_token_id', pieces)])
    if (id !== null) ids.add(id);
  for (const [id, { text, kind }] of pieces.entries()) {
    if ((kind === 'control' || kind === 'user') && ENDINGS.has(text)) ids.add(id);
  }
  return [...ids];
}

/** Typed access to `tokenizer.ggml.*`. */
class TokenizerMetadata {
  readonly fileName: string;
  readonly #metadata: ReadonlyMap<string, GgufValue>;

  constructor(header: GgufHeader, fileName: string) {
    this.fileName = fileName;
    this.#metadata = header.metadata;
  }

  fail(fault: string): AppError {
    return new AppError('invalid_source', `${this.fileName}: tokenizer.ggml: ${fault}`);
  }

  #get(key: string): GgufValue | undefined {
    return this.#metadata.get(`tokenizer.ggml.${key}`);
  }

  string(key: string): string | undefined {
    const value = this.#get(key);
    return typeof value === 'string' ? value : undefined;
  }

  boolean(key: string): boolean | undefined {
    const value = this.#get(key);
    return typeof value === 'boolean' ? value : undefined;
  }

  id(key: string, pieces: readonly Piece[]): number | null {
    const value = this.#get(key);
    // 0xFFFFFFFF is how some writers say "none".
    if (value === undefined || value === 0xffffffff || value === -1) return null;
    if (typeof value !== 'number' || pieces[value] === undefined) {
      throw this.fail(`${key} is ${JSON.stringify(value)}, which is no token`);
    }
    return value;
  }

  array(key: string, kind: 'string'): string[] | undefined;
  array(key: string, kind: 'number'): number[] | undefined;
  array(key: string, kind: 'string' | 'number'): unknown[] | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || value.some((item) => typeof item !== kind)) {
      throw this.fail(`${key} is no array of ${kind}s`);
    }
    return value;
  }
}
