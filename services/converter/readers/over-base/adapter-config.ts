/**
 * A PEFT adapter's adapter_config.json: what it says of a LoRA, and the refusal, by name, of everything that would make the merged
 * model another one. Fields and their meaning: huggingface/peft, src/peft/tuners/lora/config.py. Knows no tensors.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { describeIssues } from '@slipway/shared/lib/describe-issues.ts';
import { z } from 'zod';
import { modulePatterns } from './module-pattern.ts';

export interface LoraConfig {
  /** What the adapter says it was trained on: a hub name or a path; null when it does not say. */
  readonly baseName: string | null;
  readonly useDora: boolean;
  readonly biasesInLora: boolean;
  /** The embedding and the head were adapted as one: they stay one. */
  readonly keepsTying: boolean;
  /** Of a module by its path, e.g. `model.layers.0.self_attn.q_proj`: the rank it has, and what B·A is multiplied with. */
  rankAndScale(module: string): { readonly rank: number; readonly scale: number };
}

const rank = z.number().int().positive().max(1_000_000);

/** What matters to the merged weights. A field that is null counts as absent. */
const Lora = z.object({
  peft_type: z.literal('LORA'),
  base_model_name_or_path: z.string().optional(),
  r: rank.default(8),
  lora_alpha: z.number().default(8),
  use_rslora: z.boolean().default(false),
  use_dora: z.boolean().default(false),
  lora_bias: z.boolean().default(false),
  ensure_weight_tying: z.boolean().default(false),
  rank_pattern: z.record(z.string(), rank).default({}),
  alpha_pattern: z.record(z.string(), z.number()).default({}),
});

/**
 * Fields that change nothing about how saved tensors are merged: which modules were trained (their tensors say so themselves), how
 * training went, and `fan_in_fan_out`, which peft itself corrects to what a layer really is.
 */
const HARMLESS = new Set([
  ...Object.keys(Lora.shape),
  ...['task_type', 'auto_mapping', 'peft_version', 'revision', 'inference_mode', 'runtime_config', 'bias'],
  ...['target_modules', 'exclude_modules', 'layers_to_transform', 'layers_pattern', 'modules_to_save'],
  ...['lora_dropout', 'fan_in_fan_out', 'megatron_core', 'qalora_group_size', 'init_lora_weights'],
  ...['eva_config', 'corda_config', 'lora_ga_config', 'loftq_config', 'merge_weights'],
]);

/** Ways to begin that leave the base as it was. The others train over a changed base, which is not the one on disk. */
const HARMLESS_BEGINNINGS: readonly unknown[] = [undefined, true, false, 'gaussian', 'eva', 'orthogonal'];

/** AppError invalid_source or unsupported_source names the field. `label` names the file. */
export function parseAdapterConfig(json: unknown, label: string): LoraConfig {
  const fields = z.record(z.string(), z.unknown()).safeParse(json);
  if (!fields.success) throw new AppError('invalid_source', `${label}: ${describeIssues(fields.error)}`);
  const given = Object.fromEntries(Object.entries(fields.data).filter(([, value]) => !isAbsent(value)));
  refuseOthers(given, label);
  const parsed = Lora.safeParse(given);
  if (!parsed.success) throw new AppError('invalid_source', `${label}: ${describeIssues(parsed.error)}`);
  const config = parsed.data;
  const rankOf = modulePatterns(config.rank_pattern, `${label}: rank_pattern`);
  const alphaOf = modulePatterns(config.alpha_pattern, `${label}: alpha_pattern`);
  return {
    baseName: config.base_model_name_or_path ?? null,
    useDora: config.use_dora,
    biasesInLora: config.lora_bias,
    keepsTying: config.ensure_weight_tying,
    rankAndScale(module) {
      const rank = rankOf(module) ?? config.r;
      const alpha = alphaOf(module) ?? config.lora_alpha;
      return { rank, scale: alpha / (config.use_rslora ? Math.sqrt(rank) : rank) };
    },
  };
}

function refuseOthers(given: Readonly<Record<string, unknown>>, label: string): void {
  const refuse = (message: string) => new AppError('unsupported_source', `${label}: ${message}`);
  if (given.peft_type !== 'LORA') {
    throw refuse(
      `peft_type is ${JSON.stringify(given.peft_type ?? null)}; only LORA can be merged here. Merge it with peft's merge_and_unload() and convert the saved model.`,
    );
  }
  if (!HARMLESS_BEGINNINGS.includes(given.init_lora_weights)) {
    throw refuse(
      `init_lora_weights is ${JSON.stringify(given.init_lora_weights)}, which changes the base's own weights before training. Save the adapter with peft's path_initial_model_for_weight_conversion, or merge it there.`,
    );
  }
  const unknown = Object.keys(given).find((name) => !HARMLESS.has(name) && given[name] !== false);
  if (unknown !== undefined) {
    throw refuse(
      `${unknown} is set (${JSON.stringify(given[unknown]).slice(0, 80)}) and what it does to the weights is not known here. Merge the adapter with peft's merge_and_unload() and convert the saved model.`,
    );
  }
}

function isAbsent(value: unknown): boolean {
  if (value === null) return true;
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
