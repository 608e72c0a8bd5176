/**
 * The table of architectures: `model_type` of config.json -> the file that describes it. To add one, write its file and name it here.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Checkpoint, SourceTensor } from '../checkpoint.ts';
import { charLstm } from './char-lstm.ts';
import type { DecoderSpec } from './decoder-spec.ts';
import { gemma3 } from './gemma3.ts';
import { gpt2 } from './gpt2.ts';
import { llama } from './llama.ts';
import { mistral } from './mistral.ts';
import { NeededTensors } from './needed-tensors.ts';
import { phi } from './phi.ts';
import { phi3 } from './phi3.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';
import type { RecurrentSpec } from './recurrent-spec.ts';

const ARCHITECTURES: Readonly<Record<string, (checkpoint: Checkpoint) => DecoderSpec | RecurrentSpec>> = {
  'char-lstm': charLstm,
  gemma3_text: gemma3,
  gpt2,
  llama,
  mistral,
  phi,
  phi3,
  qwen2,
  qwen3,
};

/** AppError unsupported_source names the type and the file to add. */
export function describeModel(checkpoint: Checkpoint): DecoderSpec | RecurrentSpec {
  const describe = architectureOf(checkpoint);
  const used = new Set<string>();
  const tensors = new Map(checkpoint.tensors);
  const spec = describe({ ...checkpoint, tensors: Object.assign(tensors, { get: recordingGet(checkpoint, used) }) });
  const unused = [...checkpoint.tensors.keys()].find((name) => !used.has(name) && !isLeftover(name));
  if (unused !== undefined) {
    throw new AppError(
      'unsupported_source',
      `${checkpoint.label}: the tensor ${unused} has no place in a ${checkpoint.config.model_type} of this configuration; without it this would be another model`,
    );
  }
  return spec;
}

/** The tensors that a model of this configuration cannot do without; `isThere` answers for those it may have or not. */
export function neededTensors(
  checkpoint: Checkpoint,
  isThere: (name: string) => boolean,
): ReadonlyMap<string, SourceTensor> {
  const tensors = new NeededTensors(isThere);
  architectureOf(checkpoint)({ ...checkpoint, tensors });
  return new Map(tensors);
}

function architectureOf({ config, label }: Checkpoint) {
  if (config.quantization_config) {
    throw new AppError(
      'unsupported_source',
      `${label}: config.json has a quantization_config: weights of GPTQ, AWQ, bitsandbytes and the like are not read. Take the model that they were made from, or a GGUF file of it.`,
    );
  }
  if (config.model_type === undefined) {
    throw new AppError('invalid_source', `${label}: config.json has no model_type, which says what the weights are`);
  }
  const type = String(config.model_type);
  const describe = Object.hasOwn(ARCHITECTURES, type) ? ARCHITECTURES[type] : undefined;
  if (describe) return describe;
  throw new AppError(
    'unsupported_source',
    `${label}: the architecture "${type}" is not known; there are ${Object.keys(ARCHITECTURES).join(', ')}. To add it, write services/converter/architectures/${type.replaceAll(/[^\w-]/g, '_')}.ts and name it in find-architecture.ts.`,
  );
}

/** As `describeModel`, where only a transformer decoder will do. */
export function describeDecoder(checkpoint: Checkpoint): DecoderSpec {
  const spec = describeModel(checkpoint);
  if (!('cells' in spec)) return spec;
  throw new AppError(
    'unsupported_source',
    `${checkpoint.label}: a ${spec.family} is no transformer decoder; it can be published (--to onnx), not written in another format`,
  );
}

/** Computed tables, masks, and a tied head's copy: a model is the same without them. */
const EXPECTED_LEFTOVERS = /rotary_emb\.inv_freq$|\.attn\.(masked_)?bias$|^lm_head\.weight$|^rope_freqs\.weight$/;

function recordingGet({ tensors }: Checkpoint, used: Set<string>) {
  return (name: string) => {
    used.add(name);
    return tensors.get(name);
  };
}

/** Whether a tensor that no layer asked for may be left out. A head that is not tied is asked for. */
export function isLeftover(name: string): boolean {
  return EXPECTED_LEFTOVERS.test(name);
}
