/**
 * A Hugging Face tokenizer.json as a Tokenizer: the five parts of the file put together. BPE (byte-level and SentencePiece) and
 * Unigram, which is what decoder models use, and WordLevel for characters; anything else is refused by name. Knows no model and no file.
 */
import { z } from 'zod';
import { AppError } from '../contracts/errors.ts';
import { describeIssues } from '../lib/describe-issues.ts';
import { AddedToken, type SectionSplitter, sectionSplitter } from './added-tokens.ts';
import { BpeModel } from './bpe-model.ts';
import type { Tokenizer } from './contract.ts';
import { normalizer } from './normalizer.ts';
import { pieceDecoder } from './piece-decoder.ts';
import { isByteLevel, preTokenizer } from './pre-tokenizer.ts';
import { specialTokens } from './special-tokens.ts';
import { UnigramModel } from './unigram-model.ts';
import { WordLevelModel } from './word-level-model.ts';

const TokenizerJson = z.object({
  added_tokens: z.array(AddedToken).nullish(),
  normalizer: z.unknown().optional(),
  pre_tokenizer: z.unknown().optional(),
  post_processor: z.unknown().optional(),
  decoder: z.unknown().optional(),
  model: z.object({
    type: z.string().optional(),
    // Checked where they are loaded: a schema over 50,000 entries takes longer than loading them.
    vocab: z.unknown(),
    merges: z.unknown().optional(),
    unk_token: z.string().nullish(),
    unk_id: z.number().int().nonnegative().nullish(),
    fuse_unk: z.boolean().nullish(),
    byte_fallback: z.boolean().nullish(),
    ignore_merges: z.boolean().nullish(),
    continuing_subword_prefix: z.literal('').nullish(),
    end_of_word_suffix: z.literal('').nullish(),
  }),
});

const NO_BYTES = new Uint8Array();

/** AppError invalid_source when the file contradicts itself, unsupported_source when it asks for what is not known. */
export function loadTokenizer(tokenizerJson: unknown, tokenizerConfig: unknown): Tokenizer {
  const parsed = TokenizerJson.safeParse(tokenizerJson);
  if (!parsed.success) throw new AppError('invalid_source', `tokenizer.json: ${describeIssues(parsed.error)}`);
  const json = parsed.data;
  const model = openModel(json);
  const added = new Map<number, AddedToken>();
  for (const token of json.added_tokens ?? []) {
    added.set(token.id, token);
    model.pieces[token.id] = token.content;
  }
  const idOf = (content: string) =>
    [...added.values()].find((token) => token.content === content)?.id ?? model.idOf(content);
  const special = specialTokens(json.post_processor, tokenizerConfig);
  const bos = special.addBos && special.bos !== null ? idOf(special.bos) : undefined;

  const encodeText = textEncoder(json, model, [...added.values()]);
  const decoder = pieceDecoder(json.decoder);
  const bytes: (Uint8Array | undefined)[] = [];

  const bytesOf = (token: number): Uint8Array => {
    const known = bytes[token];
    if (known) return known;
    const piece = model.pieces[token];
    if (piece === undefined) return NO_BYTES;
    const entry = added.get(token);
    const made = entry ? (entry.special ? NO_BYTES : new TextEncoder().encode(entry.content)) : decoder.bytesOf(piece);
    bytes[token] = made;
    return made;
  };

  return {
    vocabularySize: model.pieces.length,
    stripsLeadingSpace: decoder.stripsLeadingSpace,
    encode(text, { addBos, parseSpecial }) {
      const ids: number[] = [];
      if (addBos && bos !== undefined) ids.push(bos);
      encodeText(text.toWellFormed(), parseSpecial, ids);
      return ids;
    },
    decode(tokens) {
      const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(concatenate(tokens.map(bytesOf)));
      return decoder.stripsLeadingSpace && text.startsWith(' ') ? text.slice(1) : text;
    },
    bytesOf,
    pieceOf: (token) => model.pieces[token] ?? '',
  };
}

type Model = BpeModel | UnigramModel | WordLevelModel;

function openModel({ model, pre_tokenizer, added_tokens }: z.infer<typeof TokenizerJson>): Model {
  const byteLevel = isByteLevel(pre_tokenizer);
  switch (model.type ?? 'BPE') {
    case 'BPE':
      return new BpeModel(model, byteLevel);
    case 'Unigram': {
      if (byteLevel) throw unsupported('a model of type Unigram over bytes');
      const special = (added_tokens ?? []).filter((token) => token.special).map((token) => token.content);
      return new UnigramModel(model, new Set(special));
    }
    case 'WordLevel':
      return new WordLevelModel(model);
    default:
      throw unsupported(`a model of type ${model.type}; BPE, Unigram and WordLevel are read`);
  }
}

function unsupported(what: string): AppError {
  return new AppError('unsupported_source', `tokenizer.json: ${what}`);
}

type EncodeText = (text: string, parseSpecial: boolean, into: number[]) => void;

/** Tokens found as they are written, then normalized text, then words, then ids. */
function textEncoder(json: z.infer<typeof TokenizerJson>, model: Model, added: readonly AddedToken[]): EncodeText {
  const normalize = normalizer(json.normalizer);
  const words = preTokenizer(json.pre_tokenizer);
  const plain = added.filter((token) => !token.special);
  // Only tokens that are no special ones are looked for in normalized text: what a special token is must not depend on it.
  const inNormalized = json.normalizer ? plain.filter((token) => token.normalized) : [];
  const inText = plain.filter((token) => !inNormalized.includes(token));
  const splitPlain = sectionSplitter(inText);
  const splitNormalized = sectionSplitter(inNormalized);
  let splitSpecial: SectionSplitter | undefined;

  return (text, parseSpecial, into) => {
    if (parseSpecial) splitSpecial ??= sectionSplitter([...inText, ...added.filter((token) => token.special)]);
    let first = true;
    for (const section of (parseSpecial && splitSpecial ? splitSpecial : splitPlain)(text)) {
      if ('id' in section) into.push(section.id);
      else {
        for (const part of splitNormalized(normalize(section.text))) {
          if ('id' in part) into.push(part.id);
          else for (const word of words(part.text, first)) model.encodeWord(word, into);
          first = false;
        }
      }
      first = false;
    }
  };
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
