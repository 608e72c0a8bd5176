/**
 * The text side of a checkpoint as `tokenizer.ggml.*` metadata: byte-level BPE ("gpt2" in ggml's words) and SentencePiece ("llama").
 * What a GGUF file cannot say (other kinds, other ways to cut text) is refused by name. Knows no tensors.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { describeIssues } from '@slipway/shared/lib/describe-issues.ts';
import { isByteLevel } from '@slipway/shared/text/pre-tokenizer.ts';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import { z } from 'zod';
import type { TextFiles } from '../checkpoint.ts';
import { nameStyle } from '../readers/byte-level-styles.ts';
import type { PieceKind } from '../readers/tokenizer-files.ts';
import type { MetadataEntry } from './gguf-file.ts';

/** `tokenizer.ggml.token_type`. */
const KIND_NUMBERS: Readonly<Record<PieceKind, number>> = {
  normal: 1,
  unknown: 2,
  control: 3,
  user: 4,
  unused: 5,
  byte: 6,
};

type Merge = string | readonly [string, string];

function isVocabulary(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).every((id) => Number.isSafeInteger(id) && id >= 0);
}

function isMergeList(value: unknown): boolean {
  const isMerge = (merge: unknown) =>
    typeof merge === 'string' ||
    (Array.isArray(merge) && merge.length === 2 && merge.every((part) => typeof part === 'string'));
  return Array.isArray(value) && value.every(isMerge);
}

/** A Unigram model has another vocabulary, so this is looked at before anything else. */
const ModelKind = z
  .object({ model: z.object({ type: z.string().default('BPE') }) })
  .catch({ model: { type: 'BPE' } })
  .transform(({ model }) => model.type);

const TokenizerJson = z.object({
  added_tokens: z
    .array(
      z.object({
        id: z.number().int().nonnegative(),
        content: z.string(),
        special: z.boolean().default(false),
        rstrip: z.boolean().default(false),
      }),
    )
    .default([]),
  normalizer: z.unknown(),
  pre_tokenizer: z.unknown(),
  model: z.object({
    // A schema for each of 150,000 entries would take seconds.
    vocab: z.custom<Readonly<Record<string, number>>>(isVocabulary, 'is no object of ids'),
    merges: z.custom<readonly Merge[]>(isMergeList, 'is no array of pairs'),
    unk_token: z.string().nullish(),
    byte_fallback: z.boolean().nullish(),
    ignore_merges: z.boolean().nullish(),
  }),
});
type TokenizerJson = z.infer<typeof TokenizerJson>;

const TokenName = z
  .union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)])
  .nullish()
  .catch(null);
const Config = z
  .object({
    eos_token: TokenName,
    unk_token: TokenName,
    pad_token: TokenName,
    add_eos_token: z.boolean().nullish().catch(null),
  })
  .catch({ eos_token: null, unk_token: null, pad_token: null, add_eos_token: null });

interface Piece {
  readonly text: string;
  readonly kind: PieceKind;
}

/**
 * `vocabSize`: rows of the embedding, no fewer than the tokenizer has ids; those without a piece get an unused one. AppError
 * unsupported_source says what cannot be said.
 */
export function describeText(text: TextFiles, vocabSize: number, label: string): MetadataEntry[] {
  const kind = ModelKind.parse(text.tokenizerJson);
  if (kind !== 'BPE') throw unsayable(label, `a model of type ${kind}`);
  const parsed = TokenizerJson.safeParse(text.tokenizerJson);
  if (!parsed.success) throw unsayable(label, describeIssues(parsed.error));
  const json = parsed.data;
  const byteLevel = isByteLevel(json.pre_tokenizer);
  const pieces = piecesOf(json, byteLevel, vocabSize);
  return [
    ['general.name', { text: nameFor(json, pieces, label) }],
    ...(byteLevel ? describeByteLevel(json, pieces, label) : describeSentencePiece(json, text, pieces)),
    ...describeSpecial(text, pieces),
    ...(text.chatTemplate === null ? [] : [['tokenizer.chat_template', { text: text.chatTemplate }] as const]),
  ];
}

function unsayable(label: string, fault: string): AppError {
  return new AppError('unsupported_source', `${label}: tokenizer.json cannot be said in a GGUF file: ${fault}`);
}

/** What llama.cpp looks up in the vocabulary of a model with such a name, and fails without. */
const PHI3_PIECES = ['</s>', '<unk>', '<s>', '<|endoftext|>'];

/**
 * No key says that special tokens swallow the spaces behind them, as Phi-3's do: llama.cpp tells it by the model's name
 * (llama-vocab.cpp). So the name says phi-3 where they do, and nowhere else.
 */
function nameFor(json: TokenizerJson, pieces: readonly Piece[], label: string): string {
  const named = /phi-?3/gi;
  const swallow =
    json.added_tokens.some(({ special, rstrip }) => special && rstrip) &&
    PHI3_PIECES.every((text) => pieces.some((piece) => piece.text === text));
  if (!swallow) return label.replaceAll(named, 'phi 3');
  return named.test(label) ? label : `${label} (phi-3)`;
}

function piecesOf(json: TokenizerJson, byteLevel: boolean, vocabSize: number): Piece[] {
  const pieces: Piece[] = Array.from({ length: vocabSize }, (_, id) => ({ text: `[PAD${id}]`, kind: 'unused' }));
  const isByte = (text: string) => !byteLevel && json.model.byte_fallback === true && /^<0x[0-9A-F]{2}>$/.test(text);
  for (const [text, id] of Object.entries(json.model.vocab)) {
    pieces[id] = { text, kind: isByte(text) ? 'byte' : 'normal' };
  }
  for (const { id, content, special } of json.added_tokens) {
    const unknown = content === json.model.unk_token;
    pieces[id] = { text: content, kind: unknown ? 'unknown' : special ? 'control' : 'user' };
  }
  return pieces;
}

function describeByteLevel(json: TokenizerJson, pieces: readonly Piece[], label: string): MetadataEntry[] {
  const style = nameStyle(json.pre_tokenizer, json.normalizer, json.model.ignore_merges === true);
  if (style === undefined) {
    throw new AppError(
      'unsupported_source',
      `${label}: tokenizer.json cuts text in a way that has no name in a GGUF file here (readers/byte-level-styles.ts)`,
    );
  }
  return [
    ['tokenizer.ggml.model', { text: 'gpt2' }],
    ['tokenizer.ggml.pre', { text: style }],
    ...vocabulary(pieces),
    ['tokenizer.ggml.merges', { texts: json.model.merges.map((merge) => pair(merge).join(' ')) }],
  ];
}

/**
 * SentencePiece joins what scores highest, tokenizer.json what was merged first: a piece scores by the first merge that makes it.
 * Pieces that nothing makes (single characters) come last; their scores are never asked for.
 */
function describeSentencePiece(json: TokenizerJson, text: TextFiles, pieces: readonly Piece[]): MetadataEntry[] {
  const scores = new Map<string, number>();
  for (const merge of json.model.merges) {
    const made = pair(merge).join('');
    if (!scores.has(made)) scores.set(made, -scores.size);
  }
  const tokenizer = loadTokenizer(text.tokenizerJson, text.tokenizerConfig);
  const [first = -1] = tokenizer.encode('a', { addBos: false, parseSpecial: false });
  return [
    ['tokenizer.ggml.model', { text: 'llama' }],
    ['tokenizer.ggml.pre', { text: 'default' }],
    ...vocabulary(pieces),
    [
      'tokenizer.ggml.scores',
      { f32s: pieces.map(({ text, kind }) => (kind === 'normal' ? (scores.get(text) ?? -scores.size) : 0)) },
    ],
    ['tokenizer.ggml.add_space_prefix', { bool: tokenizer.pieceOf(first).startsWith('▁') }],
  ];
}

function vocabulary(pieces: readonly Piece[]): MetadataEntry[] {
  return [
    ['tokenizer.ggml.tokens', { texts: pieces.map(({ text }) => text) }],
    ['tokenizer.ggml.token_type', { i32s: pieces.map(({ kind }) => KIND_NUMBERS[kind]) }],
  ];
}

function describeSpecial(text: TextFiles, pieces: readonly Piece[]): MetadataEntry[] {
  const config = Config.parse(text.tokenizerConfig);
  const idOf = (name: string | null | undefined) => {
    const id = pieces.findIndex((piece) => piece.text === name);
    return id === -1 ? null : id;
  };
  // The tokenizer's own ending first; a second and a third have keys of their own.
  const own = idOf(config.eos_token);
  const endings = [...new Set([...(own !== null && text.eosTokenIds.includes(own) ? [own] : []), ...text.eosTokenIds])];
  const [eos = null, eot = null, eom = null] = endings;
  const ids = Object.entries({
    bos: text.bosTokenId,
    eos,
    eot,
    eom,
    unknown: idOf(config.unk_token),
    padding: idOf(config.pad_token),
  });
  return [
    ...ids.flatMap(([key, id]) => (id === null ? [] : [[`tokenizer.ggml.${key}_token_id`, { u32: id }] as const])),
    ['tokenizer.ggml.add_bos_token', { bool: text.addBos }],
    ['tokenizer.ggml.add_eos_token', { bool: config.add_eos_token ?? false }],
  ];
}

function pair(merge: Merge): readonly [string, string] {
  if (typeof merge !== 'string') return merge;
  const space = merge.indexOf(' ');
  return [merge.slice(0, space), merge.slice(space + 1)];
}
