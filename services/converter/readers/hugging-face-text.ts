/**
 * The text side of a Hugging Face folder: tokenizer (or what one is made of), chat template, and which ids end a text.
 * Knows nothing of weights.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { describeIssues } from '@slipway/shared/lib/describe-issues.ts';
import { specialTokens } from '@slipway/shared/text/special-tokens.ts';
import { z } from 'zod';
import type { TextFiles } from '../checkpoint.ts';
import { BYTE_LEVEL_STYLES } from './byte-level-styles.ts';
import { readSentencePiece } from './sentencepiece-model.ts';
import type { SourceFolder } from './source-folder.ts';
import { byteLevelFiles, type Piece, sentencePieceFiles } from './tokenizer-files.ts';

const Ids = z
  .union([z.number().int().nonnegative(), z.array(z.number().int().nonnegative())])
  .nullish()
  .catch(null)
  .transform((ids) => (typeof ids === 'number' ? [ids] : ids));
const EosConfig = z.object({ eos_token_id: Ids }).catch({ eos_token_id: null });
const Named = z.array(z.object({ name: z.string(), template: z.string() }));
const Vocabulary = z.record(z.string(), z.number().int().nonnegative().max(4_000_000));
const AddedTokens = z.record(
  z.string().regex(/^\d{1,6}$/),
  z.object({ content: z.string(), special: z.boolean().default(false) }),
);

/** AppError invalid_source or unsupported_source says which file is missing or wrong. */
export async function readFolderText(folder: SourceFolder, config: unknown): Promise<TextFiles> {
  const tokenizerConfig = folder.has('tokenizer_config.json') ? await folder.json('tokenizer_config.json') : {};
  const settings = asRecord(tokenizerConfig);
  const { chat_template: inConfig, ...withoutTemplate } = settings;
  const files = await readTokenizer(folder, withoutTemplate);
  const json = asRecord(files.tokenizerJson);
  const special = specialTokens(json.post_processor, files.tokenizerConfig);
  const idOf = vocabularyLookup(json);
  const bos = special.bos === null ? undefined : idOf(special.bos);
  const eos = special.eos === null ? undefined : idOf(special.eos);
  const generation = asRecord(folder.has('generation_config.json') ? await folder.json('generation_config.json') : {});
  const declared = EosConfig.parse(generation).eos_token_id ?? EosConfig.parse(config).eos_token_id ?? [];
  return {
    ...files,
    chatTemplate: folder.has('chat_template.jinja') ? await folder.text('chat_template.jinja') : template(inConfig),
    bosTokenId: bos ?? null,
    // The tokenizer's first: what templates call eos_token, and often a chat model's own end of a turn.
    eosTokenIds: [...new Set([...(eos === undefined ? [] : [eos]), ...declared])],
    addBos: special.addBos && bos !== undefined,
    generationConfig: generation,
  };
}

async function readTokenizer(
  folder: SourceFolder,
  tokenizerConfig: Record<string, unknown>,
): Promise<Pick<TextFiles, 'tokenizerJson' | 'tokenizerConfig'>> {
  if (folder.has('tokenizer.json')) return { tokenizerJson: await folder.json('tokenizer.json'), tokenizerConfig };
  if (folder.has('tokenizer.model')) return sentencePiece(folder, tokenizerConfig);
  if (folder.has('vocab.json') && folder.has('merges.txt')) return vocabularyAndMerges(folder, tokenizerConfig);
  throw new AppError(
    'invalid_source',
    `${folder.path}: no tokenizer: tokenizer.json, tokenizer.model, or vocab.json with merges.txt must be there`,
  );
}

async function sentencePiece(folder: SourceFolder, tokenizerConfig: Record<string, unknown>) {
  const { pieces, spacePrefix, bos, eos, unknown } = readSentencePiece(
    await folder.bytes('tokenizer.model'),
    'tokenizer.model',
  );
  const addBos = tokenizerConfig.add_bos_token !== false;
  const made = sentencePieceFiles(pieces, spacePrefix, { bos, eos, unknown, padding: null, addBos });
  return { ...made, tokenizerConfig: { ...asRecord(made.tokenizerConfig), ...tokenizerConfig } };
}

/** The files that GPT-2 (DialoGPT) and Qwen2 came with before tokenizer.json. */
async function vocabularyAndMerges(folder: SourceFolder, tokenizerConfig: Record<string, unknown>) {
  const vocabulary = Vocabulary.safeParse(await folder.json('vocab.json'));
  if (!vocabulary.success) throw new AppError('invalid_source', `vocab.json: ${describeIssues(vocabulary.error)}`);
  const merges = (await folder.text('merges.txt'))
    .split(/\r?\n/)
    .filter((line) => line !== '' && !line.startsWith('#version'));
  const className = String(tokenizerConfig.tokenizer_class ?? 'GPT2Tokenizer').replace(/Fast$/, '');
  const styleName = { GPT2Tokenizer: 'gpt-2', Qwen2Tokenizer: 'qwen2' }[className];
  const style = BYTE_LEVEL_STYLES.get(styleName ?? '');
  if (!style) {
    throw new AppError(
      'unsupported_source',
      `${folder.path}: tokenizer.json is missing, and one for ${className} cannot be made from vocab.json; save it with transformers`,
    );
  }
  const pieces: Piece[] = [];
  for (const [text, id] of Object.entries(vocabulary.data)) pieces[id] = { text, score: 0, kind: 'normal' };
  const added = AddedTokens.safeParse(tokenizerConfig.added_tokens_decoder);
  for (const [id, { content, special }] of Object.entries(added.data ?? {})) {
    pieces[Number(id)] = { text: content, score: 0, kind: special ? 'control' : 'user' };
  }
  // GPT-2's one special token is an entry of the vocabulary like any other.
  const end = pieces.findIndex((piece) => piece?.text === '<|endoftext|>');
  const last = pieces[end];
  if (last) pieces[end] = { ...last, kind: 'control' };
  const dense = Array.from(
    pieces,
    (piece, id) => piece ?? { text: `<unused ${id}>`, score: 0, kind: 'unused' as const },
  );
  const eos = end === -1 ? null : end;
  const made = byteLevelFiles(dense, merges, style, { bos: eos, eos, unknown: null, padding: null, addBos: false });
  return { ...made, tokenizerConfig: { ...asRecord(made.tokenizerConfig), ...tokenizerConfig } };
}

function vocabularyLookup(tokenizerJson: Record<string, unknown>): (content: string) => number | undefined {
  const added = z
    .array(z.object({ id: z.number(), content: z.string() }))
    .catch([])
    .parse(tokenizerJson.added_tokens);
  const vocab = asRecord(asRecord(tokenizerJson.model).vocab);
  return (content) => {
    const id: unknown =
      added.find((token) => token.content === content)?.id ??
      (Object.hasOwn(vocab, content) ? vocab[content] : undefined);
    return typeof id === 'number' ? id : undefined;
  };
}

/** One template, or several by name, of which `default` is the one for chats. */
function template(value: unknown): string | null {
  if (typeof value === 'string') return value;
  const named = Named.safeParse(value);
  if (!named.success) return null;
  return (named.data.find((entry) => entry.name === 'default') ?? named.data[0])?.template ?? null;
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
