/**
 * `slipway train`: from a recipe to a published version. Turns options into a run, and follows it or says how to.
 */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { type ParsedRecipe, parseRecipe } from '@slipway/shared/contracts/parse-recipe.ts';
import { recipeFields } from '@slipway/shared/contracts/recipe-fields.ts';
import { type JobQueue, PRIORITIES, type Priority } from '@slipway/shared/jobs/job-queue.ts';
import {
  EventReader,
  fetchRun,
  LoggedEvent,
  locateRecipe,
  type RunRecord,
  readRun,
  resumeRun,
  runFolder,
  submitRun,
} from '@slipway/trainer/runs';
import { type Command, Option } from 'commander';
import { bucketAddress, dataFolderOf, openQueue, reportFollowed } from './runs/data-folder.ts';

interface TrainFlags {
  readonly set?: readonly string[];
  readonly name?: string;
  readonly bucket?: string;
  readonly priority: Priority;
  readonly follow?: true;
  readonly resume?: string;
  readonly check?: true;
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command('train')
    .description('train a model by a recipe, and publish it once it is proven')
    .argument('[recipe]', 'a YAML file; recipes/ has some to begin with')
    .option('--set <field=value>', 'change a field of the recipe for this run; may be given again', collect)
    .option('--name <name>', "the name to publish under, instead of the recipe's")
    .option('--follow', 'stay until it ends, and work on it when no other process does')
    .addOption(new Option('--priority <priority>', 'its place in the queue').choices(PRIORITIES).default('normal'))
    .option(
      '--resume <run>',
      'go on with a paused, failed or killed run, from its last checkpoint; one of another machine comes from the bucket',
    )
    .option('--check', 'say whether the recipe is sound, and run nothing')
    .option('--bucket <url>', 'where versions are published (BUCKET_URL; default: ./bucket)')
    .option('--json', 'what happens, and on the last line the outcome, as lines of JSON on stdout')
    .addHelpText('after', helpText())
    .action(async (path: string | undefined, flags: TrainFlags) => {
      if (flags.resume !== undefined) {
        if (path !== undefined || flags.set !== undefined || flags.name !== undefined) {
          throw new AppError(
            'invalid_field',
            '--resume goes on with a run as it was begun: give no recipe, --set or --name, or train anew with them',
          );
        }
        const id = flags.resume;
        await submitted(flags, async (dataFolder, queue) => {
          await fetchRun(dataFolder, bucketAddress(flags.bucket), id);
          const since = lastEventOf(dataFolder, (await readRun(dataFolder, id)).id);
          return { run: await resumeRun(dataFolder, queue, id), since };
        });
        return;
      }
      if (path === undefined)
        throw new AppError('invalid_field', 'give a recipe, such as recipes/shakespeare-gpt2.yaml, or --resume RUN');
      const recipe = await locateRecipe(await read(path, flags), dirname(resolve(path)), process.cwd());
      if (flags.check) {
        console.log(flags.json ? JSON.stringify(recipe) : `${path} is sound`);
        return;
      }
      const bucketUrl = bucketAddress(flags.bucket);
      await requireBucket(bucketUrl, recipe.publish.name ?? recipe.name);
      const { priority } = flags;
      await submitted(flags, async (dataFolder, queue) => ({
        run: await submitRun(dataFolder, queue, { recipe, label: path, bucketUrl, owner: 'cli', priority }),
        since: 0,
      }));
    });
}

/** Before hours of training: it can be read, and a folder written to. */
async function requireBucket(url: string, name: string): Promise<void> {
  const bucket = openBucket(url);
  await bucket.models();
  const staging = await bucket.stage(name);
  await staging.discard();
}

/** The number of what happened last; 0 when nothing has. */
function lastEventOf(dataFolder: string, id: string): number {
  const last = new EventReader(runFolder(dataFolder, id).events).read().at(-1);
  return last === undefined ? 0 : LoggedEvent.parse(last).id;
}

async function submitted(
  { follow, json }: TrainFlags,
  submit: (dataFolder: string, queue: JobQueue) => Promise<{ readonly run: RunRecord; readonly since: number }>,
): Promise<void> {
  const dataFolder = dataFolderOf();
  const queue = await openQueue();
  const { run, since } = await submit(dataFolder, queue).finally(() => queue.close());
  if (follow) await reportFollowed(dataFolder, run.id, { isJson: json ?? false, since });
  else if (json) console.log(JSON.stringify({ event: 'outcome', run: run.id, state: run.state }));
  else console.log(`${run.id} is ${run.state}. Work on it and follow: slipway runs show ${run.id} --follow`);
}

async function read(path: string, { set = [], name }: TrainFlags): Promise<ParsedRecipe> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new AppError('not_found', `the recipe ${path} cannot be read; recipes/ has some to begin with`, { cause });
  }
  const changes = name === undefined ? set : [...set, `publish.name=${JSON.stringify(name)}`];
  return parseRecipe({ text, label: path, changes });
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

function helpText(): string {
  const fields = recipeFields().map(({ path, allowed, fallback, meaning }) => {
    const shown = fallback === '' ? '' : ` (${fallback})`;
    return `  ${path.padEnd(34)} ${meaning}${allowed === '' ? '' : `\n  ${''.padEnd(34)} ${allowed}${shown}`}`;
  });
  return `
Examples:
  slipway train recipes/shakespeare-gpt2.yaml --follow
  slipway train recipes/shakespeare-gpt2.yaml --follow --set training.max_steps=50 --name try
  slipway train recipes/lora-chat-smollm2.yaml --set model.base=./SmolLM2-135M-Instruct --follow
  slipway train my-recipe.yaml --check
  slipway train --resume run-20260131-140507-1a2b3c --follow

The first one sets up Python (see slipway help setup). Ctrl-C pauses a run that is followed; a second Ctrl-C ends it at once, and even then it
goes on from its last checkpoint. Runs are kept in DATA_FOLDER/runs (default: ./data/runs). Without --follow a run waits until somebody
follows one.

Exits 0 when it is published, 1 when it failed, 2 when the recipe or its data is wrong, 130 when it was paused or cancelled.

Fields of a recipe (docs/recipes.md):
${fields.join('\n')}`;
}
