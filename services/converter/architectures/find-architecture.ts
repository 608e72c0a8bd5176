/**
 * The table of architectures: `model_type` of config.json -> the file that describes it. To add one, write its file and name it here.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Checkpoint } from '../checkpoint.ts';
import type { DecoderSpec } from './decoder-spec.ts';
import { gpt2 } from './gpt2.ts';
import { llama } from './llama.ts';

const ARCHITECTURES: Readonly<Record<string, (checkpoint: Checkpoint) => DecoderSpec>> = { gpt2, llama };

/** AppError unsupported_source names the type and the file to add. */
export function describeDecoder(checkpoint: Checkpoint): DecoderSpec {
  const type = String(checkpoint.config.model_type);
  const describe = Object.hasOwn(ARCHITECTURES, type) ? ARCHITECTURES[type] : undefined;
  if (!describe) {
    throw new AppError(
      'unsupported_source',
      `${checkpoint.label}: the architecture "${type}" is not known; there are ${Object.keys(ARCHITECTURES).join(' and ')}. To add it, write services/converter/architectures/${type.replaceAll(/[^\w-]/g, '_')}.ts and name it in find-architecture.ts.`,
    );
  }
  return describe(checkpoint);
}
