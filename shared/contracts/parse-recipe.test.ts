import { describe, expect, it } from 'vitest';
import { parseRecipe } from './parse-recipe.ts';

const SOUND = `name: tiny
model:
  scratch: { family: gpt2, layers: 4, heads: 4, hidden_size: 256, context_length: 256 }
tokenizer: { kind: bpe, vocabulary_size: 2048 }
data:
  train: plays.txt
training:
  batch_size: 8
`;

function parsed(text: string, changes: readonly string[] = []) {
  return parseRecipe({ text, label: 'tiny.yaml', changes }).recipe;
}

/** The lines of the error, without its heading. */
function problems(text: string, changes: readonly string[] = []): string[] {
  try {
    parsed(text, changes);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'invalid_field')) throw error;
    return error.message.split('\n').map((line) => line.replace(/^ {2}- /, ''));
  }
  return [];
}

describe('a recipe', () => {
  it('has every default filled in', () => {
    const { model, training, publish } = parsed(SOUND);
    expect(model.base).toBeNull();
    expect(training).toMatchObject({ batch_size: 8, micro_batch_size: 'auto', schedule: 'cosine', clip_norm: 1 });
    expect(publish).toEqual({ name: null, precision: ['fp32'], alias: null, description: null, data_gib: 1 });
  });

  it('is changed by --set before it is checked, and knows what was', () => {
    const changes = ['training.max_steps=50', 'publish.precision=[fp32, int8]', 'model.scratch.layers=2'];
    const { recipe, isChanged } = parseRecipe({ text: SOUND, label: 'tiny.yaml', changes });
    expect(recipe.training.max_steps).toBe(50);
    expect(recipe.publish.precision).toEqual(['fp32', 'int8']);
    expect(recipe.model.scratch).toMatchObject({ layers: 2, heads: 4 });
    expect([isChanged('training.max_steps'), isChanged('training.max'), isChanged('training.batch_size')]).toEqual([
      true,
      false,
      false,
    ]);
    expect(parseRecipe({ text: SOUND, label: 'x', changes: ['data={train: other.txt}'] }).isChanged('data.train')).toBe(
      true,
    );
  });

  it.each<[string, string, readonly string[], string]>([
    ['a section', SOUND.replace('training:', 'trainin:'), [], 'line 7: trainin is not known; did you mean training?'],
    [
      'a field',
      SOUND.replace('batch_', 'bach_'),
      [],
      'line 8: training.bach_size is not known; did you mean batch_size?',
    ],
    [
      'one of a family',
      SOUND.replace('hidden_size', 'hiden_size'),
      [],
      'line 3: model.scratch.hiden_size is not known; did you mean hidden_size?',
    ],
    [
      'one of a kind of section',
      SOUND.replace('vocabulary_size', 'vocab_size'),
      [],
      'line 4: tokenizer.vocab_size is not known; did you mean vocabulary_size?',
    ],
    ['one of --set', SOUND, ['training.max_step=9'], '--set training.max_step is not known; did you mean max_steps?'],
    ['the section of one', SOUND, ['max_steps=9'], '--set max_steps is not known; did you mean training.max_steps?'],
    ['one that any object has', SOUND, ['__proto__.x=1'], '--set __proto__ is not known; did you mean model?'],
  ])('that misspells %s is told the right one, and the line', (_, text, changes, expected) => {
    expect(problems(text, changes)).toContain(expected);
  });

  it.each<[string, readonly string[], string]>([
    [SOUND.replace(': 8', ': many'), [], 'line 8: training.batch_size must be a whole number from 1, but is "many"'],
    [
      SOUND.replace('gpt2', 'gpt3'),
      [],
      'line 3: model.scratch.family must be gpt2 or llama or qwen3 or char-lstm, but is "gpt3"',
    ],
    [SOUND.replace('name: tiny\n', ''), [], "name is missing: The run's name, and the model's in the bucket."],
    [
      SOUND,
      ['data.validation=7'],
      '--set data.validation must be a number from 0 to 0.5 or a text or a list of texts or null, but is 7',
    ],
    [
      SOUND,
      ['publish.precision=[int9]'],
      '--set publish.precision[0] must be one of fp32, fp16, int8, int4, but is "int9"',
    ],
    [SOUND, ['training'], '--set training is not of the form training.max_steps=50'],
    ['a: [', [], 'line 1: Flow sequence in block collection must be sufficiently indented and end with a ]'],
    ['- a', [], 'it is no section with keys such as name, model and data'],
    [SOUND, ['training=5'], '--set training must be a section, but is 5'],
    [
      SOUND.replace('plays', '*'),
      [],
      'Unresolved alias (the anchor must be set before the alias): .txt; write a pattern in quotes: "*.txt"',
    ],
    [
      SOUND,
      ['data.train=[*.txt]'],
      '--set data.train=[*.txt]: its value is not valid YAML: Unresolved alias (the anchor must be set before the alias): .txt',
    ],
  ])('says what a field may be: %#', (text, changes, expected) => {
    expect(problems(text, changes)).toContain(expected);
  });

  it('takes a pattern from --set as it is', () => {
    expect(parsed(SOUND, ['data.train=*.txt']).data.train).toBe('*.txt');
  });

  it('says one thing of a file that is no recipe', () => {
    expect(problems('\u0000\u0001[\n'.repeat(1000))).toEqual([expect.stringContaining('a problem'), 'it is no text']);
    expect(problems('a b\n- c\n}: {\n'.repeat(1000))).toHaveLength(2);
  });

  it('lists all problems at once', () => {
    const [heading, ...lines] = problems(SOUND.replace('batch_size: 8', 'batch: 8\n  epochs: 0'), ['name=-']);
    expect(heading).toBe('the recipe tiny.yaml has 3 problems:');
    expect(lines).toHaveLength(3);
  });

  it.each<[readonly string[], string]>([
    [['model.base=./x'], 'line 2: model: needs either scratch (a new model) or base (a trained one)'],
    [['model.scratch=null'], 'line 2: model: needs either scratch (a new model) or base (a trained one)'],
    [['tokenizer=null'], 'line 3: model.scratch: a new model needs a tokenizer: { kind: bpe, vocabulary_size: 2048 }'],
    [['model.tuning.method=lora'], '--set model.tuning.method: lora needs a model.base'],
    [['model.scratch=null', 'model.base=./x'], 'line 4: tokenizer: a base has its own tokenizer; leave this out'],
    [['model.scratch.heads=3'], 'line 3: model.scratch.hidden_size: 256 cannot be divided among 3 heads'],
    [
      ['model.scratch.family=llama', 'model.scratch.heads=256'],
      'line 3: model.scratch.hidden_size: is 1 for each of 256 heads; a llama turns pairs, so that it must be even',
    ],
    [['training.micro_batch_size=3'], '--set training.micro_batch_size: batch_size (8) is no multiple of 3'],
    [['training.sequence_length=512'], "--set training.sequence_length: is above the model's context_length of 256"],
    [['training.warmup=1.5'], '--set training.warmup: is a share below 1 or a whole number of steps'],
    [
      ['training.early_stopping={}', 'data.validation=0'],
      '--set training.early_stopping: looks at the validation loss, but data.validation holds nothing out',
    ],
    [
      ['training.sharding=fsdp', 'training.device=cpu'],
      '--set training.sharding: fsdp divides among GPUs, but training.device is cpu',
    ],
  ])('may not contradict itself: %j', (changes, expected) => {
    expect(problems(SOUND, changes)).toContain(expected);
  });

  it('has no quantized char-lstm', () => {
    const text = SOUND.replace(
      /scratch: .*/,
      'scratch: { family: char-lstm, layers: 1, embedding_size: 8, hidden_size: 8 }',
    );
    expect(problems(text, ['publish.precision=[int8]'])).toEqual([
      'the recipe tiny.yaml has 2 problems:',
      'line 4: tokenizer.kind: a char-lstm reads characters: kind: character',
      '--set publish.precision: there is no int8 of a char-lstm; take fp32 or fp16',
    ]);
  });
});
