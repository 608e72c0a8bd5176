/**
 * An adapter's tensors laid over a base's: which tensor of the base each one changes, and whether embedding and head are still one
 * afterwards. Gives lazy tensors; opens no files.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Checkpoint, SourceTensor } from '../../checkpoint.ts';
import { sameValues } from '../../same-values.ts';
import type { LoraConfig } from './adapter-config.ts';
import { AdapterFit } from './adapter-fit.ts';
import { sortAdapterTensors } from './adapter-tensors.ts';
import { EMBEDDINGS, HEAD, isTied } from './base-model.ts';
import { matchNames } from './match-names.ts';
import { withChange, withLora } from './merge-lora.ts';

export interface AdaptedModel {
  readonly config: Checkpoint['config'];
  readonly tensors: Map<string, SourceTensor>;
  /** The embedding has another number of rows than the base's. */
  readonly resized: boolean;
}

/** AppError invalid_source names the tensor and, where sizes do not fit, both shapes. `label` names the adapter's file. */
export async function applyAdapter(
  base: Checkpoint,
  lora: LoraConfig,
  adapter: ReadonlyMap<string, SourceTensor>,
  label: string,
): Promise<AdaptedModel> {
  const { factors, whole } = sortAdapterTensors(adapter, label);
  const tensors = new Map(base.tensors);
  const embeddingName = EMBEDDINGS.find((name) => tensors.has(name)) ?? '';
  const embedding = tensors.get(embeddingName);
  const tied = embedding !== undefined && isTied(base.config, tensors);
  // PEFT trains an adapted end of a tied pair beside the other as it was, which merging in place would change as well.
  if (tied) tensors.set(HEAD, { ...embedding, name: HEAD });
  const named = baseNames([...whole.keys(), ...[...factors.keys()].map(weightOf)], tensors, base.label, label);
  const fit = new AdapterFit(lora, base, label);

  const replaced = new Set<string>();
  for (const [name, saved] of whole) {
    const old = named(name);
    fit.requireSameShape(saved, old, old.name === embeddingName || old.name === HEAD);
    tensors.set(old.name, { ...saved, name: old.name });
    replaced.add(old.name);
  }
  const now = tensors.get(embeddingName);
  const resized = now !== undefined && now.shape[0] !== embedding?.shape[0];
  if (tied && resized && !replaced.has(HEAD)) tensors.set(HEAD, { ...now, name: HEAD });

  const adapted = new Set<string>();
  for (const [module, parts] of factors) {
    const { name } = named(weightOf(module));
    const weight = tensors.get(name) ?? named(weightOf(module));
    const change = fit.change(module, parts, weight);
    tensors.set(name, withLora(weight, change));
    adapted.add(name);
    if (!parts.biasB) continue;
    const biasName = name.replace(/weight$/, 'bias');
    const bias = fit.biasOf(parts.biasB, biasName, tensors.get(biasName));
    tensors.set(biasName, withChange(bias, parts.biasB, change.scale));
  }

  const config: Record<string, unknown> = { ...base.config, ...(resized ? { vocab_size: now.shape[0] } : {}) };
  if (tied) {
    const follows = !replaced.has(HEAD) && (!replaced.has(embeddingName) || resized);
    const both = [tensors.get(embeddingName), tensors.get(HEAD)] as const;
    const isSame = async ([first, second] = both) => first && second && (await sameValues(first, second));
    const apart = adapted.has(HEAD) || adapted.has(embeddingName);
    if (lora.keepsTying || (!apart && (follows || (await isSame())))) tensors.delete(HEAD);
    else config.tie_word_embeddings = false;
  }
  return { config, tensors, resized };
}

/** The tensor of the base that each of the adapter's names means. */
function baseNames(
  names: readonly string[],
  tensors: ReadonlyMap<string, SourceTensor>,
  baseLabel: string,
  label: string,
): (name: string) => SourceTensor {
  const { matched, unexpected, ambiguous } = matchNames(new Set(names), new Set(tensors.keys()));
  const [stranger] = unexpected;
  if (stranger !== undefined) {
    const others = unexpected.length > 1 ? `, and so have ${unexpected.length - 1} more` : '';
    throw new AppError(
      'invalid_source',
      `${label}: ${stranger} has no counterpart in the base ${baseLabel}${others}. Is this the base the adapter was trained on?`,
    );
  }
  const [twice] = ambiguous;
  if (twice) {
    throw new AppError('invalid_source', `${label}: ${twice.found.join(' and ')} are both ${twice.name} of the base`);
  }
  const byName = new Map<string, SourceTensor>();
  for (const [baseName, name] of matched) {
    const tensor = tensors.get(baseName);
    if (tensor) byName.set(name, tensor);
  }
  return (name) => {
    const tensor = byName.get(name);
    if (!tensor) throw new Error(`${name} was not matched`);
    return tensor;
  };
}

function weightOf(module: string): string {
  return `${module}.weight`;
}
