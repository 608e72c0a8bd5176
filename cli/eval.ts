/**
 * `slipway eval`: a version measured on data, or two against each other. Knows the options; cli/eval does the rest.
 */
import { METRICS, type Metric } from '@slipway/shared/contracts/evaluation.ts';
import { DataRecipe } from '@slipway/shared/contracts/recipe.ts';
import { nearest } from '@slipway/shared/lib/nearest.ts';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { columnsOption } from './column-pairs.ts';
import { number, wholeNumber } from './number-option.ts';

const { format } = DataRecipe.shape;

export function register(program: Command): void {
  program
    .command('eval')
    .description('measure a version on data, or two against each other')
    .argument('<version>', 'NAME, NAME@champion or NAME@v001')
    .requiredOption('--data <files...>', 'files, folders, patterns or URLs with the wanted answers')
    .option('--against <version>', 'another version, asked the same')
    .addOption(
      new Option('--metrics <names>', `some of ${METRICS.join(', ')}`)
        .argParser(metrics)
        .default(null, 'all that the data has something for'),
    )
    .option('--limit <number>', 'only the first samples', wholeNumber(1, 1_000_000))
    .option('--max-new-tokens <number>', 'of each answer', wholeNumber(1, 131_072), 128)
    .option('--temperature <number>', '0 is greedy', number, 0)
    .option('--seed <number>', 'of answers that are not greedy', wholeNumber(0, Number.MAX_SAFE_INTEGER), 1)
    .option('--at-once <number>', 'samples that are asked at once', wholeNumber(1, 256), 8)
    .option('--out <file>', 'the report: one HTML file (default: no report)')
    .addOption(new Option('--format <format>', 'what a record is').choices(format.unwrap().options).default('auto'))
    .addOption(columnsOption())
    .option('--bucket <url>', 'where the versions are (BUCKET_URL; default: ./bucket, else the bundled model)')
    .option('--url <url>', 'ask this running service (its key: API_KEY)')
    .option('--json', 'the figures and every answer as JSON on stdout')
    .addHelpText(
      'after',
      `
Examples:
  slipway eval smol@v002 --data questions.jsonl --against smol@v001 --out report.html
  slipway eval smol --data chats.jsonl --limit 100 --metrics token_f1,rouge_l
  slipway eval shakespeare --data held-out.txt --metrics perplexity

The data is what training data may be: conversations (the last answer is the wanted one), prompt and completion, question and answer,
Alpaca, text (of which only perplexity and bits_per_byte are told). Metrics of answers come from Python's sacrebleu and rouge-score:
slipway setup trainer installs them; perplexity and bits_per_byte need no Python.`,
    )
    .action(async (version: string, flags) =>
      (await import('./eval/evaluate-versions.ts')).evaluateVersions(version, flags),
    );
}

function metrics(text: string): Metric[] {
  return text.split(',').map((part) => {
    const name = part.trim();
    const metric = METRICS.find((one) => one === name);
    if (metric !== undefined) return metric;
    throw new InvalidArgumentError(
      `${JSON.stringify(name)} is none; did you mean ${nearest(name, METRICS) ?? METRICS[0]}?`,
    );
  });
}
