/**
 * The independent forward pass of a checkpoint in plain TypeScript: the float32 truth a conversion is compared with.
 * Slow on purpose (a second or two for ten tokens of a 135M model) and without any part of the converter's own graphs.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Checkpoint } from '../../checkpoint.ts';
import { charLstmLogits } from './char-lstm.ts';
import { gpt2Logits } from './gpt2.ts';
import { type Matrix, rowsAsFloat32 } from './linear-algebra.ts';
import { llamaLogits } from './llama.ts';
import { phiLogits } from './phi.ts';

type Forward = (checkpoint: Checkpoint, tokens: readonly number[], served: number | null) => Promise<Matrix>;

/** `model_type` of config.json -> its forward pass. */
const FORWARD: ReadonlyMap<unknown, Forward> = new Map([
  ['llama', llamaLogits],
  ['mistral', llamaLogits],
  ['qwen2', llamaLogits],
  ['qwen3', llamaLogits],
  ['phi3', llamaLogits],
  ['gemma3_text', llamaLogits],
  ['phi', phiLogits],
  ['gpt2', gpt2Logits],
  ['char-lstm', charLstmLogits],
]);

/**
 * Logits at every position of `tokens`, each [vocab], of a version that serves so many positions (null: all that the model has; few
 * scalings of rotary positions depend on it). Reads one tensor at a time.
 * Throws `unsupported_source` for a model type without a reference, `invalid_source` for missing or misshapen tensors.
 */
export async function referenceLogits(
  checkpoint: Checkpoint,
  tokens: readonly number[],
  served: number | null = null,
): Promise<Float32Array[]> {
  const type = checkpoint.config.model_type;
  const forward = FORWARD.get(type);
  if (forward === undefined) {
    throw new AppError(
      'unsupported_source',
      `${checkpoint.label}: no reference forward pass for model type "${String(type)}"; add one beside services/converter/parity/reference/llama.ts.`,
    );
  }
  return rowsAsFloat32(await forward(checkpoint, tokens, served));
}
