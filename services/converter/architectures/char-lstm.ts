/**
 * Char-LSTM: characters through a stack of LSTM cells, in PyTorch's names (docs/char-lstm.md has the format).
 * Owns the family's names and PyTorch's order of gates; knows no ONNX and no precision.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { z } from 'zod';
import type { Checkpoint } from '../checkpoint.ts';
import { CheckpointReader } from './checkpoint-reader.ts';
import type { Matrix } from './decoder-spec.ts';
import { parseConfig } from './parse-config.ts';
import type { CellSpec, RecurrentSpec } from './recurrent-spec.ts';

const size = z.number().int().positive();

const CharLstmConfig = z.looseObject({
  vocab_size: size,
  embedding_size: size,
  hidden_size: size,
  num_layers: size,
  bias: z.boolean().default(true),
  tie_word_embeddings: z.boolean().default(false),
  // Other shapes of PyTorch's LSTM: refused rather than computed wrongly.
  bidirectional: z.literal(false).default(false),
  proj_size: z.literal(0).default(0),
});

/** Where PyTorch keeps the blocks that a CellSpec has in the order input, output, forget, candidate. */
const BLOCKS = [0, 3, 1, 2];

/** Throws AppError when the configuration or a tensor is not what a Char-LSTM has. */
export function charLstm(checkpoint: Checkpoint): RecurrentSpec {
  const config = parseConfig(checkpoint, 'char-lstm', CharLstmConfig);
  const { vocab_size: vocabSize, embedding_size: embeddingSize, hidden_size: hiddenSize } = config;
  if (config.tie_word_embeddings && embeddingSize !== hiddenSize) {
    throw new AppError(
      'invalid_source',
      `${checkpoint.label}: an embedding of ${embeddingSize} cannot be tied to a head over a hidden size of ${hiddenSize}`,
    );
  }
  const reader = new CheckpointReader(checkpoint);
  const embedding = reader.matrix('embedding.weight', vocabSize, embeddingSize);
  const headBias = reader.has('head.bias') ? reader.vector('head.bias', vocabSize) : null;
  return {
    family: 'char-lstm',
    embeddingSize,
    hiddenSize,
    vocabSize,
    embedding,
    cells: Array.from({ length: config.num_layers }, (_, index) =>
      cell(reader, index, index === 0 ? embeddingSize : hiddenSize, hiddenSize, config.bias),
    ),
    head: config.tie_word_embeddings
      ? { weight: embedding, bias: headBias }
      : { weight: reader.matrix('head.weight', vocabSize, hiddenSize), bias: headBias },
  };
}

function cell(reader: CheckpointReader, index: number, inputSize: number, hidden: number, biased: boolean): CellSpec {
  const matrix = (name: string, columns: number): Matrix => {
    const stored = reader.matrix(name, 4 * hidden, columns);
    return { rows: stored.rows, columns, read: async () => reorderBlocks(await stored.read()) };
  };
  const vectors = biased
    ? [`lstm.bias_ih_l${index}`, `lstm.bias_hh_l${index}`].map((name) => reader.vector(name, 4 * hidden))
    : [];
  const bias = async () => {
    const joined = new Float32Array(8 * hidden);
    for (const [part, read] of vectors.entries()) joined.set(reorderBlocks(await read()), part * 4 * hidden);
    return joined;
  };
  return {
    input: matrix(`lstm.weight_ih_l${index}`, inputSize),
    recurrent: matrix(`lstm.weight_hh_l${index}`, hidden),
    bias: biased ? bias : null,
  };
}

/** Four blocks of equal length, from PyTorch's order (input, forget, candidate, output) into a CellSpec's. */
function reorderBlocks(stored: Float32Array): Float32Array {
  const block = stored.length / BLOCKS.length;
  const ordered = new Float32Array(stored.length);
  for (const [to, from] of BLOCKS.entries()) ordered.set(stored.subarray(from * block, (from + 1) * block), to * block);
  return ordered;
}
