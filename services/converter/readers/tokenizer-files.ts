/**
 * Writes the tokenizer.json and tokenizer_config.json that a Hugging Face folder would hold, for the two kinds of tokenizer that
 * come without them: byte-level BPE and SentencePiece BPE. Knows no source format: readers hand in pieces.
 */
import type { TextFiles } from '../checkpoint.ts';

export type PieceKind = 'normal' | 'unknown' | 'control' | 'user' | 'unused' | 'byte';

/** One entry of a vocabulary; its index is its id. */
export interface Piece {
  readonly text: string;
  /** SentencePiece: the higher, the earlier it is merged. */
  readonly score: number;
  readonly kind: PieceKind;
}

export interface SpecialIds {
  readonly bos: number | null;
  readonly eos: number | null;
  readonly unknown: number | null;
  readonly padding: number | null;
  readonly addBos: boolean;
}

type TokenizerFiles = Pick<TextFiles, 'tokenizerJson' | 'tokenizerConfig'>;

/** How text is cut before byte-level BPE, and what goes with it. */
export interface ByteLevelStyle {
  readonly normalizer: Readonly<Record<string, unknown>> | null;
  readonly preTokenizer: Readonly<Record<string, unknown>>;
  /** A whole word that is in the vocabulary is taken as it is. */
  readonly ignoreMerges: boolean;
}

/** `merges`: "left right" in byte-level letters, the first is merged first. */
export function byteLevelFiles(
  pieces: readonly Piece[],
  merges: readonly string[],
  style: ByteLevelStyle,
  ids: SpecialIds,
): TokenizerFiles {
  return files(pieces, ids, {
    normalizer: style.normalizer,
    pre_tokenizer: style.preTokenizer,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { unk_token: null, fuse_unk: false, byte_fallback: false, ignore_merges: style.ignoreMerges, merges },
  });
}

/** `spacePrefix`: text is encoded with a space in front, and decoded without it. */
export function sentencePieceFiles(pieces: readonly Piece[], spacePrefix: boolean, ids: SpecialIds): TokenizerFiles {
  const spaces = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  const decoders = [
    { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
    ...(spacePrefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
  ];
  const unknown = ids.unknown === null ? undefined : pieces[ids.unknown]?.text;
  return files(pieces, ids, {
    normalizer: spacePrefix
      ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, spaces] }
      : { type: 'Sequence', normalizers: [spaces] },
    pre_tokenizer: null,
    decoder: { type: 'Sequence', decoders },
    model: {
      unk_token: unknown ?? null,
      fuse_unk: true,
      byte_fallback: pieces.some((piece) => piece.kind === 'byte'),
      ignore_merges: false,
      merges: mergesFromScores(pieces),
    },
  });
}

function files(
  pieces: readonly Piece[],
  ids: SpecialIds,
  parts: { normalizer: unknown; pre_tokenizer: unknown; decoder: unknown; model: Record<string, unknown> },
): TokenizerFiles {
  // Without a prototype, so that a piece called __proto__ is a piece.
  const vocab: Record<string, number> = Object.create(null);
  for (const [id, piece] of pieces.entries()) vocab[piece.text] ??= id;
  const { model, ...rest } = parts;
  const bos = nameOf(pieces, ids.bos);
  const addBos = ids.addBos && bos !== null;
  return {
    tokenizerJson: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: addedTokens(pieces),
      ...rest,
      post_processor: addBos ? beginWith(bos, ids.bos) : null,
      model: {
        type: 'BPE',
        dropout: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        ...model,
        vocab,
      },
    },
    tokenizerConfig: {
      tokenizer_class: 'PreTrainedTokenizerFast',
      add_bos_token: addBos,
      add_eos_token: false,
      bos_token: bos,
      eos_token: nameOf(pieces, ids.eos),
      unk_token: nameOf(pieces, ids.unknown),
      pad_token: nameOf(pieces, ids.padding),
      clean_up_tokenization_spaces: false,
    },
  };
}

function nameOf(pieces: readonly Piece[], id: number | null): string | null {
  return id === null ? null : (pieces[id]?.text ?? null);
}

function addedTokens(pieces: readonly Piece[]): unknown[] {
  return [...pieces.entries()]
    .filter(([, { kind }]) => kind === 'control' || kind === 'unknown' || kind === 'user')
    .map(([id, { text, kind }]) => ({
      id,
      content: text,
      single_word: false,
      lstrip: false,
      rstrip: false,
      // A piece written with SentencePiece's space can only be found in text that is written with it as well.
      normalized: text.includes('▁'),
      special: kind !== 'user',
    }));
}

function beginWith(bos: string, id: number | null): unknown {
  const first = { SpecialToken: { id: bos, type_id: 0 } };
  return {
    type: 'TemplateProcessing',
    single: [first, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [first, { Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: { [bos]: { id: bos, ids: [id], tokens: [bos] } },
  };
}

/**
 * SentencePiece joins the neighbours whose joined piece scores highest, which is BPE with every way to cut a piece in two as a
 * merge, in order of the piece's score. Same order as transformers' `generate_merges`, so that both give the same ids.
 */
function mergesFromScores(pieces: readonly Piece[]): string[] {
  const ids = new Map<string, number>();
  for (const [id, { text, kind }] of pieces.entries()) {
    if ((kind === 'normal' || kind === 'user') && !ids.has(text)) ids.set(text, id);
  }
  const merges: { left: string; right: string; score: number }[] = [];
  for (const [text, id] of ids) {
    const piece = pieces[id];
    if (piece?.kind !== 'normal') continue;
    const cuts: { left: string; right: string; leftId: number; rightId: number }[] = [];
    for (let cut = 1; cut < text.length; cut++) {
      const left = text.slice(0, cut);
      const leftId = ids.get(left);
      if (leftId === undefined) continue;
      const right = text.slice(cut);
      const rightId = ids.get(right);
      if (rightId !== undefined) cuts.push({ left, right, leftId, rightId });
    }
    cuts.sort((a, b) => a.leftId - b.leftId || a.rightId - b.rightId);
    for (const { left, right } of cuts) merges.push({ left, right, score: piece.score });
  }
  merges.sort((a, b) => b.score - a.score || b.left.length - a.left.length || b.right.length - a.right.length);
  // "left right" cannot say a piece with a space; SentencePiece text has none, so such a piece is never merged.
  return merges.filter((m) => !m.left.includes(' ') && !m.right.includes(' ')).map((m) => `${m.left} ${m.right}`);
}
