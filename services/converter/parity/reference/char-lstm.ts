/**
 * Char-LSTM, forward, straight from a checkpoint: what a converted graph is compared with. Shares nothing with the graph builder, so
 * that a mistake there cannot hide here. Source: the formulas in the documentation of torch.nn.LSTM.
 */
import { z } from 'zod';
import type { Checkpoint } from '../../checkpoint.ts';
import { addInPlace, gather, linear, type Matrix, matrix } from './linear-algebra.ts';
import { weightsOf } from './weights.ts';

const size = z.number().int().positive();

const configSchema = z.object({
  vocab_size: size,
  embedding_size: size,
  hidden_size: size,
  num_layers: size,
  bias: z.boolean().default(true),
  tie_word_embeddings: z.boolean().default(false),
});

/** Logits at every position: [tokens, vocab]. */
export async function charLstmLogits(checkpoint: Checkpoint, tokens: readonly number[]): Promise<Matrix> {
  const config = configSchema.parse(checkpoint.config);
  const weights = weightsOf(checkpoint);
  const { vocab_size: vocab, embedding_size: embedding, hidden_size: hidden } = config;
  const table = await weights.read('embedding.weight', [vocab, embedding]);
  let x = gather(table, embedding, tokens);
  for (let layer = 0; layer < config.num_layers; layer++) {
    const bias = (name: string) =>
      config.bias ? weights.read(`lstm.${name}_l${layer}`, [4 * hidden]) : new Float32Array(4 * hidden);
    const fromInput = linear(
      x,
      await weights.read(`lstm.weight_ih_l${layer}`, [4 * hidden, x.width]),
      await bias('bias_ih'),
    );
    const recurrent = await weights.read(`lstm.weight_hh_l${layer}`, [4 * hidden, hidden]);
    x = runCell(fromInput, recurrent, await bias('bias_hh'));
  }
  const head = config.tie_word_embeddings ? table : await weights.read('head.weight', [vocab, hidden]);
  return linear(x, head, weights.has('head.bias') ? await weights.read('head.bias', [vocab]) : undefined);
}

/** `fromInput` [tokens, 4 * hidden]: what the input adds to the gates i, f, g and o. Gives the hidden states [tokens, hidden]. */
function runCell(fromInput: Matrix, recurrent: Float32Array, bias: Float32Array): Matrix {
  const hidden = fromInput.width / 4;
  const result = matrix(fromInput.rows, hidden);
  let state = matrix(1, hidden);
  const memory = new Float64Array(hidden);
  for (let row = 0; row < fromInput.rows; row++) {
    const gates = linear(state, recurrent, bias);
    addInPlace(gates, { ...gates, data: fromInput.data.subarray(row * gates.width, (row + 1) * gates.width) });
    const gate = (index: number, unit: number) => gates.data[index * hidden + unit] as number;
    state = matrix(1, hidden);
    for (let unit = 0; unit < hidden; unit++) {
      const kept = sigmoid(gate(1, unit)) * (memory[unit] as number);
      memory[unit] = kept + sigmoid(gate(0, unit)) * Math.tanh(gate(2, unit));
      state.data[unit] = sigmoid(gate(3, unit)) * Math.tanh(memory[unit] as number);
    }
    result.data.set(state.data, row * hidden);
  }
  return result;
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}
