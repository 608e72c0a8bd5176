/** A checkpoint of nothing but the tensors a test gives it. */
import type { Checkpoint, SourceTensor } from '../checkpoint.ts';

export function tinyCheckpoint(tensors: readonly SourceTensor[]): Checkpoint {
  return {
    kind: 'gguf',
    label: 'tiny',
    files: [],
    config: {},
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
    text: {
      tokenizerJson: {},
      tokenizerConfig: {},
      chatTemplate: null,
      bosTokenId: null,
      eosTokenIds: [],
      addBos: false,
    },
    close: async () => {},
  };
}
