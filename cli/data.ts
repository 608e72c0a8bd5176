/**
 * `slipway data ...`: what is in training data, and the same made ready to train on. Knows the options; each command's file does the rest.
 */
import { DataRecipe } from '@slipway/shared/contracts/recipe.ts';
import { describeIssues } from '@slipway/shared/lib/describe-issues.ts';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { columnPairs, columnsOption } from './column-pairs.ts';

const { format, template } = DataRecipe.shape;

export function register(program: Command): void {
  const data = program
    .command('data')
    .description('look into training data, and make it ready to train on')
    .addHelpText(
      'after',
      `
FILE is a file, a folder, a pattern or a URL: JSON, JSON Lines, CSV, Parquet or text, packed with gzip or not.

Examples:
  slipway data inspect alpaca.json
  slipway data inspect 'chats/*.jsonl' --model ./SmolLM2-135M-Instruct
  slipway data inspect odd.csv --columns prompt=Question,completion=Reply
  slipway data prepare alpaca.json --model smol --out ./prepared
  slipway data fetch my-model@v001 ./examples`,
    );
  shared(data.command('inspect'))
    .description('formats, lengths, duplicates, what would be left out, and examples as a model sees them')
    .option('--rejected <file>', 'write every line that would be left out, with the reason, to a new file')
    .option('--show <count>', 'examples to show', wholeNumber, 2)
    .action(async (files: string[], flags) => (await import('./data/inspect.ts')).inspect(files, flags));
  shared(data.command('prepare'))
    .description('clean, split and encode it into the folder that a training reads')
    .requiredOption('--out <folder>', 'where to put it; what was prepared there before is replaced')
    .option('--validation <share>', 'share that is held out', share, 0.05)
    .option('--weights <numbers>', 'how often the examples of each file are trained on: 2,1,0.5', weights)
    .option('--seed <number>', 'what the split and the changed copies are drawn with', wholeNumber, 1)
    .action(async (files: string[], flags) => (await import('./data/prepare.ts')).prepare(files, flags));
  data
    .command('fetch <version> <folder>')
    .description('copy the examples that a version was trained on out of the bucket, verified')
    .option('--bucket <url>', 'where versions are kept (BUCKET_URL; default: ./bucket)')
    .option('--json', 'print it as JSON')
    .action(async (version, folder, options) => (await import('./data/fetch.ts')).fetchData(version, folder, options));
}

function shared(command: Command): Command {
  return command
    .argument('<files...>', 'files, folders, patterns or URLs')
    .option('--model <model>', 'a folder, a .gguf file, or a version by name: its tokenizer and chat template are used')
    .addOption(
      new Option('--template <name>', 'how a conversation is written')
        .choices(template.unwrap().options)
        .default('model'),
    )
    .addOption(new Option('--format <format>', 'what a record is').choices(format.unwrap().options).default('auto'))
    .addOption(columnsOption())
    .addOption(
      new Option('--mixed <what>', 'a file whose records are of several formats')
        .choices(['refuse', 'accept'])
        .default('refuse'),
    )
    .option('--max-length <tokens>', 'tokens of an example (default: what 99 % of them have)', wholeNumber)
    .option('--truncated <share>', 'share of examples that may be cut', share, 0.05)
    .addOption(
      new Option('--augment [settings]', 'with changed copies, as data.augment of a recipe: copies=2,typos=0.05')
        .preset('copies=1')
        .argParser(augment),
    )
    .option('--bucket <url>', 'where versions are kept (BUCKET_URL; default: ./bucket)')
    .option('--json', 'print it as JSON');
}

function weights(text: string): number[] {
  const values = text.split(',').map(Number);
  if (values.every((value) => value > 0 && value <= 100)) return values;
  throw new InvalidArgumentError('They must be numbers above 0, up to 100.');
}

function augment(text: string) {
  const settings = Object.entries(columnPairs(text)).map(([name, value]) => [name, Number(value)]);
  const parsed = DataRecipe.shape.augment.safeParse(Object.fromEntries(settings));
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(describeIssues(parsed.error));
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('It must be a whole number.');
  return value;
}

function share(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError('It must be a number from 0 to 1.');
  return value;
}
