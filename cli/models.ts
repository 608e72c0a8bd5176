/**
 * `slipway models ...`: the commands over the bucket's versions. Knows their names and options; each one's file does the rest.
 */
import { PRECISIONS } from '@slipway/shared/contracts/manifest.ts';
import { type Command, InvalidArgumentError, Option } from 'commander';

const REFERENCES = `
A version is named NAME@v001, NAME@ALIAS, or NAME: what champion points at, or the newest while there is none. Two aliases are computed:
latest, and previous, which rollback would go back to.`;

export function register(program: Command): void {
  const models = program
    .command('models')
    .description('list, compare, promote, fetch and remove versions')
    .addHelpText(
      'after',
      `${REFERENCES}

Examples:
  slipway models pull HuggingFaceTB/SmolLM2-135M-Instruct --name smol --precision int4
  slipway models list
  slipway models compare smol@v001 v002
  slipway models promote smol@v002            a service that serves smol swaps to it without a failed request
  slipway models rollback smol                ... and back
  slipway models export smol ./smol-onnx      for onnxruntime and transformers.js`,
    );
  const add = (usage: string, description: string) =>
    models
      .command(usage)
      .description(description)
      .option('--bucket <url>', 'where the versions are (BUCKET_URL; default: ./bucket)')
      .option('--json', 'print the outcome as JSON: the last line of stdout');

  add('list [name]', 'all models with their versions, or one')
    .addHelpText('after', '\nExamples:\n  slipway models list\n  slipway models list smol --json')
    .action(async (name, options) => (await import('./models/list.ts')).list(name, options));

  add('show <version>', 'all that is known of a version, and what happened to its name')
    .addHelpText(
      'after',
      `${REFERENCES}\n\nExamples:\n  slipway models show smol\n  slipway models show smol@v002 --json`,
    )
    .action(async (reference, options) => (await import('./models/show.ts')).show(reference, options));

  add('compare <a> <b>', 'two versions beside each other')
    .addHelpText(
      'after',
      '\nExamples:\n  slipway models compare smol@v001 v002\n  slipway models compare smol other@latest',
    )
    .action(async (left, right, options) => (await import('./models/compare.ts')).compare(left, right, options));

  const alias = () => new Option('--alias <alias>', 'the name to move').default('champion');
  const expected = () =>
    new Option('--expected <version>', 'only when it points at this version now (none: at nothing)');
  add('promote <version>', 'let an alias point at a version')
    .addOption(alias())
    .addOption(expected())
    .addHelpText(
      'after',
      '\nExamples:\n  slipway models promote smol@v002\n  slipway models promote smol@v002 --alias canary --expected v001',
    )
    .action(async (reference, options) => (await import('./models/change.ts')).promote(reference, options));

  add('rollback <name>', 'let an alias point where it pointed before; twice goes back two')
    .addOption(alias())
    .addOption(expected())
    .addHelpText('after', '\nExamples:\n  slipway models rollback smol\n  slipway models rollback smol --alias canary')
    .action(async (name, options) => (await import('./models/change.ts')).rollback(name, options));

  add('remove <version>', 'take a version away; restore brings it back until models gc')
    .addHelpText(
      'after',
      '\nIt is refused while an alias points at the version.\n\nExample:\n  slipway models remove smol@v001',
    )
    .action(async (reference, options) => (await import('./models/change.ts')).remove(reference, options));

  add('restore <version>', 'bring a removed version back')
    .addHelpText('after', '\nExample:\n  slipway models restore smol@v001')
    .action(async (reference, options) => (await import('./models/change.ts')).restore(reference, options));

  add('gc', 'free what no version needs and what was removed long enough ago')
    .option('--dry-run', 'say what would be freed and change nothing')
    .option('--grace-days <days>', 'how long a removed version can be restored (default: 7)', days)
    .addHelpText('after', '\nIt is safe beside everything else.\n\nExample:\n  slipway models gc --dry-run')
    .action(async (options) => (await import('./models/change.ts')).collect(options));

  add('export <version> <folder>', 'copy a version out of the bucket, every file verified')
    .addHelpText(
      'after',
      `
The folder has the layout that transformers.js and optimum use (onnx/model*.onnx beside config.json and tokenizer.json), appears whole
or not at all, and must not exist or be empty. A name that ends in .tar makes one file of it.

Examples:
  slipway models export smol ./smol-onnx
  slipway models export smol@v001 smol-v001.tar`,
    )
    .action(async (reference, target, options) =>
      (await import('./models/export.ts')).exportTo(reference, target, options),
    );

  add('pull <model>', 'download a model from the Hugging Face hub and convert it')
    .option('--revision <name>', 'a branch, tag or commit', 'main')
    .option('--file <path>', 'one file instead of the whole model, such as one of several .gguf')
    .option('--folder <path>', 'where to download to (default: downloads/ORG/NAME)')
    .option('--no-convert', 'only download')
    .option('--base <path>', 'what the model changes, when it is an adapter')
    .option('--name <name>', "the name to publish under (default: the model's own)")
    .addOption(
      new Option('--precision <precision>', 'how weights are kept; auto chooses by size and says why')
        .choices(['auto', ...PRECISIONS])
        .default('auto'),
    )
    .option('--parity-text <file>', 'compare with the source on this text instead of the bundled one')
    .option('--allow-drift', 'publish although the result is outside the bounds; the manifest says so')
    .addHelpText(
      'after',
      `
Only what a conversion needs is downloaded, of one commit; it is verified, and an interrupted download goes on where it stopped.
HF_TOKEN or HF_TOKEN_READ gives access to private and gated models, HF_ENDPOINT names another hub.

Examples:
  slipway models pull HuggingFaceTB/SmolLM2-135M-Instruct --name smol --precision int4
  slipway models pull bartowski/SmolLM2-135M-Instruct-GGUF --file SmolLM2-135M-Instruct-Q8_0.gguf --name smol
  slipway models pull openai-community/gpt2 --no-convert --folder ./gpt2`,
    )
    .action(async (model, options) => (await import('./models/pull.ts')).pullModel(model, options));
}

function days(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0)) throw new InvalidArgumentError('It must be a number of days.');
  return value;
}
