/**
 * An embedding that is the head too, where the checkpoint holds a head all the same (PyTorch's files do): it must be the same matrix.
 * Knows no family.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { sameValues } from '../same-values.ts';
import type { Matrix } from './decoder-spec.ts';

const HEAD = 'lm_head.weight';

/**
 * The same embedding, `name` in the checkpoint. Its reads reject with invalid_source when a stored head differs: transformers 4 takes
 * the embedding of such a file and transformers 5 the head, so nobody knows what model was meant.
 */
export function tiedEmbedding({ tensors, label }: Checkpoint, name: string, embedding: Matrix): Matrix {
  let compared: Promise<boolean> | null = null;
  const isSame = async () => {
    const [head, own] = [tensors.get(HEAD), tensors.get(name)];
    return !head || !own || sameValues(head, own);
  };
  return {
    ...embedding,
    read: async () => {
      compared ??= isSame();
      if (await compared) return embedding.read();
      throw new AppError(
        'invalid_source',
        `${label}: the configuration ties the head to the embedding, but ${HEAD} holds other values than ${name}. Set "tie_word_embeddings" to false in config.json if the head was trained by itself, or remove ${HEAD}.`,
      );
    },
  };
}
