/**
 * The command line's front door: knows the names of the commands, loads the one that was asked for, and turns what it
 * throws into one message and an exit code. Knows nothing of what a command does.
 */
import { enableCompileCache } from 'node:module';
import { errorCode, isRefusedPath } from '@slipway/shared/bucket/durable-files.ts';
import { AppError, ERROR_STATUS } from '@slipway/shared/contracts/errors.ts';
import { Command, CommanderError } from 'commander';
import { wrapHelp } from './wrap-help.ts';

enableCompileCache();

interface CommandFile {
  /** Adds the command with its options to the program. */
  register(program: Command): void;
}

/** Only the file of the command that runs is loaded, so that help and short commands start quickly. */
const COMMANDS: Readonly<Record<string, { summary: string; load: () => Promise<CommandFile> }>> = {
  up: { summary: 'serve the bundled model: the shortest way to an answer', load: () => import('./up.ts') },
  serve: { summary: 'serve a version from the bucket over HTTP', load: () => import('./serve.ts') },
  generate: { summary: 'continue a prompt in the terminal, without a server', load: () => import('./generate.ts') },
  batch: { summary: 'answer a file of requests, gone on with where it stopped', load: () => import('./batch.ts') },
  convert: { summary: 'turn a checkpoint into a version, a folder or a GGUF file', load: () => import('./convert.ts') },
  train: { summary: 'train a model by a recipe, and publish it once it is proven', load: () => import('./train.ts') },
  trainer: { summary: 'take trainings over HTTP, and work on them', load: () => import('./trainer.ts') },
  runs: { summary: 'list, follow, pause, resume and cancel trainings', load: () => import('./runs.ts') },
  eval: { summary: 'measure a version on data, or two against each other', load: () => import('./eval.ts') },
  models: { summary: 'list, compare, promote, fetch and remove versions', load: () => import('./models.ts') },
  data: { summary: 'look into training data, and make it ready to train on', load: () => import('./data.ts') },
  tokenizer: { summary: 'train a tokenizer, or see how one cuts text', load: () => import('./tokenizer.ts') },
  keys: { summary: 'create, list and revoke API keys', load: () => import('./keys.ts') },
  setup: { summary: 'install what training runs on', load: () => import('./setup.ts') },
  completion: {
    summary: 'let bash, zsh or fish complete commands and options',
    load: () => import('./completion.ts'),
  },
  doctor: { summary: 'check a set-up before it is deployed', load: () => import('./doctor.ts') },
  bench: { summary: 'measure speed, memory and quality, peers beside us', load: () => import('./bench.ts') },
  check: { summary: 'check types, lint, import directions and dead code', load: () => import('./check.ts') },
  test: { summary: 'run the tests', load: () => import('./test.ts') },
};

const EXAMPLES = `
Examples:
  slipway up                                    the bundled model on http://127.0.0.1:8080
  slipway convert ./SmolLM2-135M --name smol    a checkpoint becomes smol@v001
  slipway train recipes/shakespeare-gpt2.yaml --follow    data becomes a version
  slipway serve smol                            ... and answers POST /generate
  slipway models promote smol@v002              a running service swaps to it without a failed request
  slipway generate "ROMEO:"                     a play in the terminal
  slipway help convert                          every option of a command

Exit codes:
  0 done   1 it failed   2 what was asked for is wrong (arguments, file, name)   130 interrupted

Environment: BUCKET_URL (default ./bucket), SLIPWAY_DEBUG=1 (stack traces).`;

async function main(args: readonly string[]): Promise<void> {
  const program = new Command('slipway')
    .description('From your data to a served language model, on machines you own.')
    .version('0.1.0')
    .helpCommand('help [command]', 'show the options of a command')
    .showHelpAfterError('Run it with --help for the options.')
    .addHelpText('after', EXAMPLES)
    .configureOutput({ writeOut: (text) => process.stdout.write(wrapHelp(text, process.stdout.columns ?? 80)) })
    .exitOverride();

  const needed = neededBy(args);
  for (const [name, { summary, load }] of Object.entries(COMMANDS)) {
    if (needed.includes(name)) (await load()).register(program);
    else program.command(name).description(summary);
  }

  if (args.length === 0) program.outputHelp();
  else await program.parseAsync(withHelpAsOption(args), { from: 'user' });
}

/** The commands whose options matter: the one that runs, or that is asked about. */
function neededBy(args: readonly string[]): (string | undefined)[] {
  if (args[0] === 'help') return [args[1]];
  if (args[0] !== 'completion') return [args[0]];
  const words = args.slice(args.indexOf('--') + 1);
  return ['completion', words[0] === 'help' ? words[1] : words[0]];
}

/** Commander's own `help` knows the first word only: `help data inspect` would tell of `data`, and `help nosuch` of everything. */
function withHelpAsOption(args: readonly string[]): string[] {
  const [first, command, ...rest] = args;
  if (first !== 'help' || command === undefined) return [...args];
  return Object.hasOwn(COMMANDS, command) ? [command, ...rest, '--help'] : [command];
}

/** 2 when the user can put it right by asking differently, 1 for everything else. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof AppError) return ERROR_STATUS[error.code] < 500 ? 2 : 1;
  if (isRefusedPath(error)) return 2;
  return 1;
}

function report(error: unknown): void {
  // Commander has already written its own message, or the help that was asked for.
  if (error instanceof CommanderError) return;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof AppError || isRefusedPath(error)) console.error(`slipway: ${message}`);
  else console.error(`slipway: unexpected error: ${message}\nSLIPWAY_DEBUG=1 shows where it came from.`);
  if (process.env.SLIPWAY_DEBUG === '1') console.error(error);
}

process.stdout.on('error', (error) => {
  // `| head` has seen enough; nobody is there to be told more.
  if (errorCode(error) === 'EPIPE') process.exit(0);
  throw error;
});
try {
  await main(process.argv.slice(2));
} catch (error) {
  report(error);
  process.exitCode = exitCodeOf(error);
}
