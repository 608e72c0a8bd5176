/**
 * The llama2.c checkpoint (version 0): seven int32, then float32 tensors, each for all layers together, and a tokenizer .bin
 * beside it. Layout: karpathy/llama2.c, export.py `legacy_export` and run.c. Rows of q and k come out in Hugging Face's order.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Checkpoint, SourceTensor, TextFiles } from '../checkpoint.ts';
import { halfSplitRows } from './rearrange.ts';
import { describeFile, SourceFile } from './source-file.ts';
import { type Piece, sentencePieceFiles } from './tokenizer-files.ts';

const HEADER_BYTES = 28;
const MAX_LAYERS = 1_024;
const MAX_VOCABULARY = 1 << 20;
const MAX_TOKEN_BYTES = 4_096;
const MAX_TOKENIZER_BYTES = 64 << 20;
/** Not in the file: run.c has them as constants. */
const ROPE_THETA = 10_000;
const RMS_NORM_EPS = 1e-5;

interface Shape {
  readonly dim: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly vocabulary: number;
  /** The output matrix is the embedding. */
  readonly tied: boolean;
  readonly context: number;
}

/** One run of float32 in the file: `count` tensors of the same shape, `names` in order. */
interface Section {
  readonly names: readonly string[];
  readonly shape: readonly number[];
  /** Heads whose rows are interleaved. */
  readonly rotaryHeads?: number;
}

/** Whether these first bytes and this size can only be a llama2.c checkpoint. */
export function isLlama2c(head: Buffer, size: number): boolean {
  const shape = head.length < HEADER_BYTES ? undefined : parseShape(head);
  return shape !== undefined && expectedBytes(shape) === size;
}

/** AppError invalid_source when sizes disagree or no tokenizer lies beside the file. The file stays open until `close`. */
export async function openLlama2c(path: string): Promise<Checkpoint> {
  const file = await SourceFile.open(path);
  try {
    const shape = parseShape(await file.read(0, HEADER_BYTES));
    if (!shape || expectedBytes(shape) !== file.size) {
      throw new AppError('invalid_source', `${file.name}: its header does not fit its ${file.size} bytes`);
    }
    const tensors = new Map<string, SourceTensor>();
    let position = HEADER_BYTES;
    for (const section of sections(shape)) {
      const length = section.shape.reduce((a, b) => a * b, 1);
      for (const name of section.names) {
        if (name !== '') tensors.set(name, sourceTensor(file, name, section, position, length));
        position += length * 4;
      }
    }
    const tokenizer = await openTokenizer(path, shape.vocabulary);
    return {
      kind: 'llama2c',
      label: file.name,
      files: [await describeFile(file), tokenizer.description],
      config: config(shape),
      tensors,
      text: tokenizer.text,
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function parseShape(head: Buffer): Shape | undefined {
  const [dim = 0, hidden = 0, layers = 0, heads = 0, kvHeads = 0, signedVocabulary = 0, context = 0] = Array.from(
    { length: 7 },
    (_, i) => head.readInt32LE(i * 4),
  );
  const vocabulary = Math.abs(signedVocabulary);
  const positive = [dim, hidden, layers, heads, kvHeads, vocabulary, context].every((value) => value > 0);
  const small = layers <= MAX_LAYERS && vocabulary <= MAX_VOCABULARY;
  if (!positive || !small || dim % (2 * heads) !== 0 || heads % kvHeads !== 0) return undefined;
  // A negative vocabulary is how llama2.c says that the output matrix is a tensor of its own.
  return { dim, hidden, layers, heads, kvHeads, vocabulary, tied: signedVocabulary > 0, context };
}

/** In the file's order; the empty name is what is skipped (tables of rotary angles that run.c no longer reads). */
function sections(shape: Shape): Section[] {
  const { dim, hidden, heads, kvHeads, vocabulary } = shape;
  const headDim = dim / heads;
  const layered = (name: string) => Array.from({ length: shape.layers }, (_, i) => `model.layers.${i}.${name}.weight`);
  const result: Section[] = [
    { names: ['model.embed_tokens.weight'], shape: [vocabulary, dim] },
    { names: layered('input_layernorm'), shape: [dim] },
    { names: layered('self_attn.q_proj'), shape: [dim, dim], rotaryHeads: heads },
    { names: layered('self_attn.k_proj'), shape: [kvHeads * headDim, dim], rotaryHeads: kvHeads },
    { names: layered('self_attn.v_proj'), shape: [kvHeads * headDim, dim] },
    { names: layered('self_attn.o_proj'), shape: [dim, dim] },
    { names: layered('post_attention_layernorm'), shape: [dim] },
    { names: layered('mlp.gate_proj'), shape: [hidden, dim] },
    { names: layered('mlp.down_proj'), shape: [dim, hidden] },
    { names: layered('mlp.up_proj'), shape: [hidden, dim] },
    { names: ['model.norm.weight'], shape: [dim] },
    { names: ['', ''], shape: [shape.context, headDim / 2] },
  ];
  if (!shape.tied) result.push({ names: ['lm_head.weight'], shape: [vocabulary, dim] });
  return result;
}

function expectedBytes(shape: Shape): number {
  const floats = sections(shape).map(({ names, shape: dims }) => names.length * dims.reduce((a, b) => a * b, 1));
  return HEADER_BYTES + 4 * floats.reduce((a, b) => a + b, 0);
}

function sourceTensor(
  file: SourceFile,
  name: string,
  section: Section,
  position: number,
  length: number,
): SourceTensor {
  const { shape, rotaryHeads } = section;
  return {
    name,
    shape,
    dtype: 'F32',
    read: async () => {
      const values = new Float32Array(length);
      await file.readInto(new Uint8Array(values.buffer), position);
      return rotaryHeads === undefined ? values : halfSplitRows(values, rotaryHeads, shape[1] ?? 1);
    },
  };
}

function config(shape: Shape): Record<string, unknown> {
  return {
    model_type: 'llama',
    hidden_size: shape.dim,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.kvHeads,
    head_dim: shape.dim / shape.heads,
    intermediate_size: shape.hidden,
    vocab_size: shape.vocabulary,
    max_position_embeddings: shape.context,
    rms_norm_eps: RMS_NORM_EPS,
    rope_theta: ROPE_THETA,
    rope_scaling: null,
    attention_bias: false,
    mlp_bias: false,
    hidden_act: 'silu',
    tie_word_embeddings: shape.tied,
    bos_token_id: 1,
    eos_token_id: 2,
  };
}

async function openTokenizer(checkpointPath: string, vocabulary: number) {
  const folder = dirname(checkpointPath);
  const beside = (await readdir(folder)).filter(
    (name) => /^tok.*\.bin$/i.test(name) && name !== basename(checkpointPath),
  );
  const [name, ...others] = beside.toSorted();
  if (name === undefined || others.length > 0) {
    const found = name === undefined ? 'none is there' : `there are ${beside.join(', ')}`;
    throw new AppError(
      'invalid_source',
      `${basename(checkpointPath)}: one llama2.c tokenizer (tok*.bin) must lie beside it in ${folder}; ${found}`,
    );
  }
  const file = await SourceFile.open(join(folder, name));
  try {
    if (file.size > MAX_TOKENIZER_BYTES) throw new AppError('invalid_source', `${name}: too large for a tokenizer`);
    const pieces = parsePieces(await file.read(0, file.size), name, vocabulary);
    return { text: text(pieces), description: await describeFile(file) };
  } finally {
    await file.close();
  }
}

/** int32 longest token, then per token float32 score, int32 length, bytes. */
function parsePieces(bytes: Buffer, name: string, vocabulary: number): Piece[] {
  const fail = (fault: string) => new AppError('invalid_source', `${name}: ${fault}`);
  const pieces: Piece[] = [];
  let at = 4;
  for (let id = 0; id < vocabulary; id++) {
    if (at + 8 > bytes.length) throw fail(`ends after ${id} of ${vocabulary} tokens`);
    const score = bytes.readFloatLE(at);
    const length = bytes.readInt32LE(at + 4);
    at += 8;
    if (length < 0 || length > MAX_TOKEN_BYTES || at + length > bytes.length)
      throw fail(`token ${id} claims ${length} bytes`);
    pieces.push(piece(id, bytes.toString('utf8', at, at + length), score));
    at += length;
  }
  if (at !== bytes.length) throw fail(`goes on after the ${vocabulary} tokens of the checkpoint`);
  return pieces;
}

function piece(id: number, text: string, score: number): Piece {
  const special = ['<unk>', '<s>', '</s>'][id];
  if (special !== undefined) return { text: special, score, kind: id === 0 ? 'unknown' : 'control' };
  if (/^<0x[0-9A-F]{2}>$/.test(text)) return { text, score, kind: 'byte' };
  // The exporter wrote SentencePiece's space as a space.
  return { text: text.replaceAll(' ', '▁'), score, kind: 'normal' };
}

function text(pieces: readonly Piece[]): TextFiles {
  const ids = { bos: 1, eos: 2, unknown: 0, padding: null, addBos: true };
  return {
    ...sentencePieceFiles(pieces, true, ids),
    chatTemplate: null,
    bosTokenId: ids.bos,
    // These models were trained on stories that each begin with BOS: generating one ends the story, as run.c does.
    eosTokenIds: [ids.bos, ids.eos],
    addBos: true,
  };
}
