/**
 * Holds an adapter's tensors to the base they change: shapes, ranks, and the parts its configuration promises. Errors name the tensor
 * and both shapes. Reads nothing.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Checkpoint, SourceTensor } from '../../checkpoint.ts';
import type { LoraConfig } from './adapter-config.ts';
import type { LoraFactors } from './adapter-tensors.ts';
import { HEAD } from './base-model.ts';
import type { LoraChange } from './merge-lora.ts';

/** What PEFT's own classes put before every path; patterns do not see it. */
const PEFT_PREFIX = /^base_model\.model\./;
/** Families whose linear layers hold their weights as [in, out]; peft minds that whatever fan_in_fan_out says. */
const CONV1D_FAMILIES = ['gpt2'];

export class AdapterFit {
  readonly #lora: LoraConfig;
  readonly #base: Checkpoint;
  readonly #label: string;

  /** `label` names the adapter's file. */
  constructor(lora: LoraConfig, base: Checkpoint, label: string) {
    this.#lora = lora;
    this.#base = base;
    this.#label = label;
  }

  /** A vocabulary's tensor may have another number of rows. */
  requireSameShape(saved: SourceTensor, old: SourceTensor, isVocabulary: boolean): void {
    const [compared, expected] = isVocabulary ? [saved.shape.slice(1), old.shape.slice(1)] : [saved.shape, old.shape];
    if (saved.shape.length === old.shape.length && compared.join() === expected.join()) return;
    throw this.#fault(`the tensor ${saved.name} has shape [${saved.shape}], ${old.name} of the base [${old.shape}]`);
  }

  /** What the factors of a module do to `weight`. */
  change(module: string, { kind, a, b, biasB, magnitude }: LoraFactors, weight: SourceTensor): LoraChange {
    const { rank, scale } = this.#lora.rankAndScale(module.replace(PEFT_PREFIX, ''));
    if (a.shape[0] !== rank || b.shape[1] !== rank) {
      throw this.#fault(
        `${a.name} [${a.shape}] and ${b.name} [${b.shape}] are not of rank ${rank}, which adapter_config.json gives ${module}`,
      );
    }
    const [input = 0, output = 0] = [a.shape[1], b.shape[0]];
    const isConv1d = CONV1D_FAMILIES.includes(String(this.#base.config.model_type)) && weight.name !== HEAD;
    const transposed = kind === 'embedding' || isConv1d;
    const expected = transposed ? [input, output] : [output, input];
    if ([a, b, weight].some(({ shape }) => shape.length !== 2) || weight.shape.join() !== expected.join()) {
      throw this.#fault(
        `${a.name} [${a.shape}] and ${b.name} [${b.shape}] change a weight [${expected}], ${weight.name} of the base has shape [${weight.shape}]`,
      );
    }
    this.#requirePart(module, 'lora_magnitude_vector', 'use_dora', magnitude, this.#lora.useDora);
    if (kind === 'linear') this.#requirePart(module, 'lora_B.bias', 'lora_bias', biasB, this.#lora.biasesInLora);
    for (const vector of [magnitude, biasB]) {
      if (vector && vector.shape.join() !== String(output)) {
        throw this.#fault(`the tensor ${vector.name} has shape [${vector.shape}]; the module has ${output} outputs`);
      }
    }
    return { a, b, scale, magnitude, transposed };
  }

  /** The bias that `change` is added to. */
  biasOf(change: SourceTensor, name: string, bias: SourceTensor | undefined): SourceTensor {
    if (bias) return bias;
    throw this.#fault(`${change.name} is added to a bias, and the base has no ${name}`);
  }

  /** A part that only one of configuration and file knows of would be left out by peft, or made up. */
  #requirePart(module: string, part: string, field: string, found: SourceTensor | null, promised: boolean): void {
    if ((found !== null) === promised) return;
    throw this.#fault(
      promised
        ? `adapter_config.json says ${field}, and the tensor ${module}.${part} is missing`
        : `the tensor ${module}.${part} is there, and adapter_config.json does not say ${field}`,
    );
  }

  #fault(message: string): AppError {
    return new AppError('invalid_source', `${this.#label}: ${message} (base: ${this.#base.label})`);
  }
}
