/**
 * A recipe: everything that makes a trained model out of data, and nothing of the machine it happens on. The schema is the documentation:
 * docs/recipes.md and `slipway help train` are made of the descriptions here.
 */
import { z } from 'zod';
import { AliasName, ModelName, Precision } from './manifest.ts';

const count = () => z.number().int().min(1);
const share = () => z.number().min(0).max(1);
const auto = z.literal('auto');
const paths = () => z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]);

const transformer = {
  layers: count().describe('How many blocks.'),
  heads: count().describe('Attention heads; hidden_size is divided among them.'),
  hidden_size: count().describe('Width of the model.'),
  context_length: z.number().int().min(2).describe('Positions it is made for.'),
};
const gated = {
  ...transformer,
  kv_heads: count().nullable().default(null).describe('Heads of keys and values; null: as many as heads.'),
  intermediate_size: count()
    .nullable()
    .default(null)
    .describe('Width inside a block; null: 8/3 of hidden_size, in multiples of 64.'),
  tie_embeddings: z.boolean().default(true).describe('Whether the head is the embedding: fewer weights.'),
  rope_theta: z.number().positive().default(10_000).describe('Base of the rotary angles.'),
};
const dropout = () => z.number().min(0).max(0.9).default(0).describe('Share of values left out while training.');

const Scratch = z.discriminatedUnion('family', [
  z.strictObject({
    family: z.literal('gpt2').describe('A model to begin from nothing: gpt2, llama, qwen3 or char-lstm.'),
    ...transformer,
    dropout: dropout(),
  }),
  z.strictObject({ family: z.literal('llama'), ...gated }),
  z.strictObject({ family: z.literal('qwen3'), ...gated }),
  z.strictObject({
    family: z.literal('char-lstm'),
    layers: count().describe('How many blocks.'),
    embedding_size: count().describe('Of a character.'),
    hidden_size: count().describe('Width of the model.'),
    dropout: dropout(),
  }),
]);
export type Scratch = z.infer<typeof Scratch>;

const Tuning = z.discriminatedUnion('method', [
  z.strictObject({
    method: z
      .literal('full')
      .describe(
        'full: every weight is trained. lora, dora: a small adapter, merged at the end. qlora: lora over a base held in 4 bits, for less memory.',
      ),
  }),
  z.strictObject({
    method: z.enum(['lora', 'dora', 'qlora']),
    rank: count().default(16).describe("The adapter's rank."),
    alpha: z.number().positive().default(32).describe('Its weight; it counts as alpha / rank.'),
    dropout: dropout(),
    target_modules: z
      .union([auto, z.array(z.string().min(1)).min(1)])
      .default('auto')
      .describe('Names of the layers that get an adapter; auto: every linear layer but the head.'),
    rslora: z.boolean().default(false).describe('Divide alpha by the root of the rank instead.'),
    modules_to_save: z.array(z.string().min(1)).default([]).describe('Layers that are trained whole beside it.'),
  }),
]);

const Model = z.strictObject({
  scratch: Scratch.nullable().default(null).describe('A new model of these sizes. Either this or base.'),
  base: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe(
      'A trained model to go on from: a Hugging Face folder, a .gguf file, or a version in the bucket (smol@v001). Either this or scratch.',
    ),
  tuning: Tuning.default({ method: 'full' }).describe('How a base is trained.'),
});

const Tokenizer = z.union([
  z.strictObject({
    kind: z
      .enum(['bpe', 'sentencepiece-bpe', 'sentencepiece-unigram', 'character'])
      .describe('A tokenizer is trained on the training data.'),
    vocabulary_size: z
      .number()
      .int()
      .min(8)
      .max(1_000_000)
      .default(2048)
      .describe('How many tokens it may have; a character tokenizer has what the data has.'),
  }),
  z.strictObject({ path: z.string().min(1).describe('A folder with tokenizer.json to take instead.') }),
]);

const Augment = z.strictObject({
  copies: z.number().int().min(1).max(16).default(1).describe('Changed copies of each example.'),
  lowercase: share().default(0.5).describe('Share of the copies that ask in small letters.'),
  unpunctuated: share().default(0.5).describe('Share of the copies that ask without the last full stop, ? or !.'),
  typos: share().default(0.03).describe('Share of the words in which two neighbouring letters change places.'),
});

export const DataRecipe = z.strictObject({
  train: z
    .union([
      paths(),
      z
        .record(z.string().min(1), z.number().positive().max(100))
        .refine((weights) => Object.keys(weights).length > 0, 'names no file'),
    ])
    .describe(
      'What is learnt: a file, a pattern, a URL, or a list of them; or each with its weight, { a.jsonl: 2, b.jsonl: 0.5 }: all of it twice, half of it.',
    ),
  validation: z
    .union([z.number().min(0).max(0.5), paths()])
    .nullable()
    .default(0.05)
    .describe('What is held out: a share of train, or files. null or 0: nothing is.'),
  format: z
    .enum(['auto', 'text', 'messages', 'sharegpt', 'chat', 'alpaca', 'qa', 'prompt-completion'])
    .default('auto')
    .describe('What a line is; auto looks.'),
  template: z
    .enum(['model', 'chatml', 'alpaca', 'llama2', 'llama3', 'phi'])
    .default('model')
    .describe("How a conversation becomes text; model: the base's own chat template."),
  columns: z
    .record(z.string(), z.string())
    .default({})
    .describe('Our field -> the name it has in the data, or the path: instances.0.output.'),
  mixed: z
    .enum(['refuse', 'accept'])
    .default('refuse')
    .describe('A file whose records are of several formats: told, or each taken as what it is.'),
  max_length: z
    .union([auto, z.number().int().min(2)])
    .default('auto')
    .describe("Tokens of an example; auto: what 99 % of them have, at most the model's context."),
  truncated: share().default(0.05).describe('Refuse when more than this share of the examples would be cut.'),
  deduplicate: z.boolean().default(true).describe('Leave out examples that were there before.'),
  augment: Augment.nullable()
    .default(null)
    .describe('Train on copies with changed questions as well; the answers stay. null: on none.'),
});

export type DataRecipe = z.infer<typeof DataRecipe>;

/** What is trained on, each with its weight. */
export function weightedSources(train: DataRecipe['train']): { readonly source: string; readonly weight: number }[] {
  if (typeof train === 'string') return [{ source: train, weight: 1 }];
  if (Array.isArray(train)) return train.map((source) => ({ source, weight: 1 }));
  return Object.entries(train).map(([source, weight]) => ({ source, weight }));
}

/** The other way round; a list where nothing is weighted. */
export function trainOf(sources: ReturnType<typeof weightedSources>): Exclude<DataRecipe['train'], string> {
  return sources.every(({ weight }) => weight === 1)
    ? sources.map(({ source }) => source)
    : Object.fromEntries(sources.map(({ source, weight }) => [source, weight]));
}

const EarlyStopping = z.strictObject({
  patience: count().default(3).describe('Evaluations without a better loss until it stops.'),
  min_delta: z.number().min(0).default(0).describe('What counts as better.'),
});

const every = () => z.union([auto, count()]);

const Training = z.strictObject({
  max_steps: count().nullable().default(null).describe('Optimizer steps; null: epochs say when it ends.'),
  epochs: z.number().positive().default(1).describe('Passes over the data. Does not count when max_steps is given.'),
  batch_size: count().default(32).describe('Sequences per optimizer step, whatever fits into memory at once.'),
  micro_batch_size: every()
    .default('auto')
    .describe('Sequences computed at once. Halved by itself when memory runs out; the batch stays what it is.'),
  learning_rate: z
    .union([auto, z.number().positive()])
    .default('auto')
    .describe(
      'The highest one. auto: 6e-4 from scratch (char-lstm: 2e-3), 2e-4 for adapters, 2e-5 for all weights of a base.',
    ),
  schedule: z
    .enum(['cosine', 'linear', 'constant', 'wsd'])
    .default('cosine')
    .describe('How it falls after the warm-up; wsd: constant, then down over the last fifth.'),
  warmup: z
    .number()
    .min(0)
    .default(0.02)
    .describe('It rises over this share of all steps; from 1 on: over so many steps.'),
  min_learning_rate: share().default(0.1).describe('Where it ends, as a share of learning_rate.'),
  weight_decay: z.number().min(0).default(0.1).describe('Of matrices only.'),
  beta1: z.number().min(0).lt(1).default(0.9).describe("AdamW's first moment."),
  beta2: z.number().min(0).lt(1).default(0.95).describe("AdamW's second moment."),
  epsilon: z.number().positive().default(1e-8).describe("AdamW's guard against division by zero."),
  clip_norm: z
    .number()
    .positive()
    .nullable()
    .default(1)
    .describe('Gradients longer than this are shortened; null: none is.'),
  precision: z
    .enum(['auto', 'fp32', 'bf16', 'fp16'])
    .default('auto')
    .describe('What is computed in; weights stay fp32. auto: bf16 where it is faster.'),
  device: z.enum(['auto', 'cpu', 'cuda']).default('auto').describe('auto: CUDA where there is some.'),
  processes: every().default('auto').describe('One for each GPU; auto: as many as there are. On each machine.'),
  nodes: count()
    .default(1)
    .describe(
      'Machines that train together; the others run `slipway trainer join`. All must see the same DATA_FOLDER.',
    ),
  sharding: z
    .enum(['none', 'fsdp'])
    .default('none')
    .describe('fsdp: weights and optimizer are divided among the GPUs, for models that fit on none.'),
  gradient_checkpointing: z
    .boolean()
    .default(false)
    .describe('Compute activations twice instead of keeping them: slower, less memory.'),
  compile: z
    .union([auto, z.boolean()])
    .default('auto')
    .describe(
      'torch.compile: a slow first step, faster ones after it. auto: on CUDA, for a transformer and plain text.',
    ),
  packing: z.boolean().default(true).describe('Several short examples share a row, without seeing each other.'),
  sequence_length: z
    .union([auto, z.number().int().min(2)])
    .default('auto')
    .describe("Tokens of a row. auto: the model's context but at most 1024 (char-lstm: 256); the longest example."),
  seed: z
    .number()
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(1)
    .describe('Of weights, order and dropout.'),
  log_every: every()
    .default('auto')
    .describe(
      'Steps between two lines of progress. auto: a hundred lines of a short run, of a long one every ten steps.',
    ),
  evaluate_every: every()
    .nullable()
    .default('auto')
    .describe(
      'Steps between two looks at the validation data; null: none. auto: ten a run, fewer where they are over a tenth of its work.',
    ),
  checkpoint_every: every()
    .default('auto')
    .describe('Steps between two checkpoints. auto: when it evaluates, at least ten a run.'),
  keep_checkpoints: count().default(2).describe('The newest ones; the best is kept besides.'),
  early_stopping: EarlyStopping.nullable()
    .default(null)
    .describe('Stop when the validation loss gets no better; null: never.'),
});

const Evaluation = z.strictObject({
  prompts: z.array(z.string()).max(16).default([]).describe('Continued at every evaluation, to look at.'),
  max_new_tokens: z.number().int().min(1).max(1024).default(64).describe('Of each.'),
});

const Publish = z.strictObject({
  name: ModelName.nullable().default(null).describe("The model's name in the bucket; null: the recipe's name."),
  precision: z.array(Precision).min(1).default(['fp32']).describe('One version for each, in this order.'),
  alias: AliasName.nullable()
    .default(null)
    .describe('Points at the last of them afterwards; champion serves it at once.'),
  description: z.string().max(10_000).nullable().default(null).describe("For people; null: the recipe's."),
  data_gib: z
    .number()
    .min(0)
    .default(1)
    .describe('Training examples of at most so many GiB are kept in the bucket, for slipway data fetch; 0: none are.'),
});

export const Recipe = z.strictObject({
  name: ModelName.describe("The run's name, and the model's in the bucket."),
  description: z.string().max(10_000).nullable().default(null).describe('One line for people.'),
  model: Model.describe('What is trained.'),
  tokenizer: Tokenizer.nullable().default(null).describe('Only with model.scratch; a base has one.'),
  data: DataRecipe.describe('What it is trained on.'),
  training: Training.prefault({}).describe('How.'),
  evaluation: Evaluation.prefault({}).describe('What is looked at meanwhile.'),
  publish: Publish.prefault({}).describe('What becomes of it.'),
});
export type Recipe = z.infer<typeof Recipe>;

export interface Contradiction {
  readonly path: readonly string[];
  readonly message: string;
}

/** What is right field by field and makes no sense together. */
export function contradictions({ model, tokenizer, data, training, publish }: Recipe): Contradiction[] {
  const found: Contradiction[] = [];
  const say = (path: string, message: string) => found.push({ path: path.split('.'), message });
  const { scratch, base, tuning } = model;
  if ((scratch === null) === (base === null))
    say('model', 'needs either scratch (a new model) or base (a trained one)');
  if (base === null && tuning.method !== 'full') say('model.tuning.method', `${tuning.method} needs a model.base`);
  if (base !== null && tokenizer !== null) say('tokenizer', 'a base has its own tokenizer; leave this out');
  if (scratch !== null) {
    if (tokenizer === null) say('model.scratch', 'a new model needs a tokenizer: { kind: bpe, vocabulary_size: 2048 }');
    if (scratch.family === 'char-lstm') {
      if (tokenizer !== null && 'kind' in tokenizer && tokenizer.kind !== 'character')
        say('tokenizer.kind', 'a char-lstm reads characters: kind: character');
      const quantized = publish.precision.find((precision) => precision === 'int8' || precision === 'int4');
      if (quantized !== undefined)
        say('publish.precision', `there is no ${quantized} of a char-lstm; take fp32 or fp16`);
    } else {
      const { heads, hidden_size, context_length } = scratch;
      if (hidden_size % heads !== 0)
        say('model.scratch.hidden_size', `${hidden_size} cannot be divided among ${heads} heads`);
      else if (scratch.family !== 'gpt2' && (hidden_size / heads) % 2 !== 0)
        say(
          'model.scratch.hidden_size',
          `is ${hidden_size / heads} for each of ${heads} heads; a ${scratch.family} turns pairs, so that it must be even`,
        );
      if ('kv_heads' in scratch && scratch.kv_heads !== null && heads % scratch.kv_heads !== 0)
        say('model.scratch.kv_heads', `${heads} heads cannot share ${scratch.kv_heads}`);
      if (training.sequence_length !== 'auto' && training.sequence_length > context_length)
        say('training.sequence_length', `is above the model's context_length of ${context_length}`);
    }
    if (data.template === 'model' && data.format !== 'text' && data.format !== 'auto')
      say('data.template', 'a new model has no chat template; name one, such as chatml');
  }
  if (data.augment !== null && data.augment.lowercase + data.augment.unpunctuated + data.augment.typos === 0)
    say('data.augment', 'changes nothing: raise lowercase, unpunctuated or typos');
  const { batch_size, micro_batch_size, warmup } = training;
  if (micro_batch_size !== 'auto' && batch_size % micro_batch_size !== 0)
    say('training.micro_batch_size', `batch_size (${batch_size}) is no multiple of ${micro_batch_size}`);
  if (warmup > 1 && !Number.isInteger(warmup)) say('training.warmup', 'is a share below 1 or a whole number of steps');
  if (training.early_stopping !== null && (data.validation === null || data.validation === 0))
    say('training.early_stopping', 'looks at the validation loss, but data.validation holds nothing out');
  if (training.early_stopping !== null && training.evaluate_every === null)
    say('training.early_stopping', 'looks at the validation loss, but training.evaluate_every is null');
  if (training.sharding === 'fsdp' && training.device === 'cpu')
    say('training.sharding', 'fsdp divides among GPUs, but training.device is cpu');
  if (tuning.method === 'qlora' && training.sharding === 'fsdp')
    say('training.sharding', 'fsdp cannot divide what qlora holds in 4 bits');
  return found;
}
