/**
 * Weights out of training (reinforcement learning, mostly) over a base: architecture, tokenizer and template are the base's, every
 * weight is the checkpoint's. Tells which names fitted and gives nothing while one is missing.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { isLeftover, neededTensors } from '../../architectures/find-architecture.ts';
import type { Checkpoint, SourceTensor, TensorFit } from '../../checkpoint.ts';
import { sameValues } from '../../same-values.ts';
import { EMBEDDINGS, filesOfBoth, HEAD, isTied, type OpenSource, openBase } from './base-model.ts';
import { matchNames, type NameMatch, ownSegment } from './match-names.ts';
import { openTrainedWeights, type TrainedWeights } from './trained-weights.ts';

/** First segments of what is trained beside a policy: never a language model's own. */
const NOT_POLICY = new Set([
  ...['v_head', 'value_head', 'value_model', 'value', 'critic', 'critic_model', 'critic_head'],
  ...['ref', 'ref_model', 'reference', 'reference_model', 'reward', 'reward_model', 'reward_head'],
  ...['frozen_param_fragments'],
]);
const SHOWN = 8;

/** AppError not_found, invalid_source or unsupported_source names tensors and shapes. Files stay open until `close`. */
export async function openWeightsOverBase(path: string, basePath: string, open: OpenSource): Promise<Checkpoint> {
  const weights = await openTrainedWeights(path);
  try {
    const base = await openBase(basePath, open);
    try {
      const { config, tensors, fit } = await layOver(weights, base);
      const files = filesOfBoth({ label: weights.label, files: await weights.describeFiles() }, base);
      return {
        kind: 'checkpoint-over-base',
        label: weights.label,
        files,
        config,
        tensors,
        text: base.text,
        fit,
        close: weights.close,
      };
    } finally {
      await base.close();
    }
  } catch (error) {
    await weights.close();
    throw error;
  }
}

async function layOver(
  weights: TrainedWeights,
  base: Checkpoint,
): Promise<{ config: Checkpoint['config']; tensors: Map<string, SourceTensor>; fit: TensorFit }> {
  const wanted = wantedTensors(base, weights.tensors);
  const match = matchNames(weights.tensors.keys(), new Set([...wanted.keys(), HEAD]));
  const tensors = new Map<string, SourceTensor>();
  for (const [name, found] of match.matched) {
    const tensor = weights.tensors.get(found);
    if (tensor) tensors.set(name, { ...tensor, name });
  }
  const isOne = base.tensors.size > 0 ? isTied(base.config, base.tensors) : !wanted.has(HEAD);
  const { config, tied } = isOne ? await settleHead(weights, base, match, tensors) : { config: base.config, tied: [] };
  const missing = [...wanted.keys()].filter((name) => !tensors.has(name) && !isLeftover(name));
  if (wanted.has(HEAD) && !tensors.has(HEAD) && tied.length === 0) missing.push(HEAD);
  const fit: TensorFit = {
    matched: tensors.size,
    missing,
    unexpected: [...match.unexpected, ...weights.beside].toSorted(),
    tied,
    renamed: match.renamed.map(({ from, to, names }) => `${from || '(none)'} -> ${to || '(none)'} (${names})`),
  };
  requireFit(fit, match, tensors, wanted, `${weights.label} over ${base.label}`);
  return { config, tensors, fit };
}

/** What the base has; of a base without weights, what its architecture asks for. */
function wantedTensors(base: Checkpoint, found: ReadonlyMap<string, SourceTensor>): ReadonlyMap<string, SourceTensor> {
  if (base.tensors.size > 0) return base.tensors;
  const names = [...found.keys()].map((name) => `.${name}`);
  const end = (name: string) => `.${name.replace(/^(model|transformer)\./, '')}`;
  return neededTensors(base, (name) => name === HEAD || names.some((each) => each.endsWith(end(name))));
}

/** A tied head need not be stored, and where it is, it is the embedding; one that is not has come apart from it. */
async function settleHead(
  weights: TrainedWeights,
  base: Checkpoint,
  { matched }: NameMatch,
  tensors: Map<string, SourceTensor>,
): Promise<{ config: Checkpoint['config']; tied: string[] }> {
  const embeddingName = EMBEDDINGS.find((name) => tensors.has(name) || base.tensors.has(name));
  const embedding = tensors.get(embeddingName ?? '');
  const head = tensors.get(HEAD);
  if (embeddingName === undefined) return { config: base.config, tied: [] };
  if (!head) return { config: base.config, tied: [HEAD] };
  const found = [matched.get(embeddingName), matched.get(HEAD)];
  const isShared = weights.tied.some((names) => found.every((name) => name !== undefined && names.includes(name)));
  if (embedding && !isShared && !(await sameValues(embedding, head))) {
    return { config: { ...base.config, tie_word_embeddings: false }, tied: [] };
  }
  // Of two names of one tensor some writers keep only the head's.
  if (!embedding) tensors.set(embeddingName, { ...head, name: embeddingName });
  tensors.delete(HEAD);
  return { config: base.config, tied: [HEAD] };
}

function requireFit(
  fit: TensorFit,
  match: NameMatch,
  tensors: ReadonlyMap<string, SourceTensor>,
  wanted: ReadonlyMap<string, SourceTensor>,
  label: string,
): void {
  const fail = (message: string) => new AppError('invalid_source', `${label}: ${message}`);
  const [twice] = match.ambiguous;
  if (twice) throw fail(`${twice.found.join(' and ')} would both be ${twice.name}; keep the one that is meant`);
  if (match.unexpected.some((name) => /\.lora_[AB]\./.test(name))) {
    throw fail(
      'it holds LoRA factors that are not merged; save the adapter with save_pretrained() and convert that folder',
    );
  }
  const others = match.unexpected.filter((name) => !NOT_POLICY.has(ownSegment(name)) && !isLeftover(name));
  if (fit.missing.length > 0) {
    throw fail(
      `${counted(fit.missing)} of the base ${areOrIs(fit.missing)} missing: ${list(fit.missing)}. ${fit.matched} matched${
        fit.unexpected.length > 0 ? `; ${fit.unexpected.length} unexpected: ${list(fit.unexpected)}` : ''
      }. Nothing was published: is this the whole checkpoint, and is this its base?`,
    );
  }
  if (others.length > 0) {
    throw fail(
      `${counted(others)} ${others.length === 1 ? 'has' : 'have'} no place in the base and ${areOrIs(others)} not of a critic or value head: ${list(others)}. ${fit.matched} matched. Without them this would be another model: is this its base?`,
    );
  }
  for (const [name, tensor] of tensors) {
    const expected = wanted.get(name)?.shape;
    if (expected === undefined || expected.join() === tensor.shape.join()) continue;
    const resized = tensor.shape.slice(1).join() === expected.slice(1).join();
    throw fail(
      `${match.matched.get(name) ?? name} has shape [${tensor.shape}], ${name} of the base [${expected}]${
        resized
          ? '; where the vocabulary was resized, the base needs the configuration and tokenizer of the resized model'
          : ''
      }`,
    );
  }
}

function counted(names: readonly string[]): string {
  return names.length === 1 ? '1 tensor' : `${names.length} tensors`;
}

function areOrIs(names: readonly string[]): string {
  return names.length === 1 ? 'is' : 'are';
}

function list(names: readonly string[]): string {
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : '';
  return `${names.slice(0, SHOWN).join(', ')}${more}`;
}
