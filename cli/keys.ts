/**
 * `slipway keys ...`: the API keys a service asks for. Knows the commands' names and options; each one's work is in keys/.
 */
import { SCOPES } from '@slipway/shared/contracts/api-keys.ts';
import { type Command, InvalidArgumentError, Option } from 'commander';

export function register(program: Command): void {
  const keys = program
    .command('keys')
    .description('create, list and revoke API keys')
    .addHelpText(
      'after',
      `
A key is shown once, when it is made. The file keeps its sha256, what it may do, and until when; a service that is started with
API_KEYS_FILE reads the file again when it changes, so that a key that is revoked stops working within seconds.

Examples:
  slipway keys create app                     a key that may generate, in ./api-keys.yml
  API_KEYS_FILE=api-keys.yml slipway serve    ... and a service that asks for it
  slipway keys create operator --scope admin
  slipway keys revoke app`,
    );
  const add = (usage: string, description: string) =>
    keys
      .command(usage)
      .description(description)
      .option('--file <path>', 'the file of keys, YAML or JSON (API_KEYS_FILE; default: ./api-keys.yml)')
      .option('--json', 'print the outcome as JSON');

  add('create <name>', 'make a key and show it, once')
    .addOption(
      new Option(
        '--scope <scope>',
        'infer: generate; train: ask the trainer for runs; both see what is their own. admin: all, such as loading models',
      )
        .choices(SCOPES)
        .default('infer'),
    )
    .option('--requests-per-minute <number>', 'instead of RATE_LIMIT_RPM', count)
    .option('--tokens-per-minute <number>', 'prompts and answers, instead of RATE_LIMIT_TPM', count)
    .option('--expires <when>', 'a number of days such as 90d, or a date such as 2030-01-31')
    .addHelpText(
      'after',
      `
The name says who calls: it stands in the service's log, and batches, files and sessions belong to it. To change a key, revoke it and
make another of the same name, which then has what the first one made; for another caller choose another name.

Examples:
  slipway keys create app --requests-per-minute 60 --tokens-per-minute 20000
  slipway keys create contractor --expires 30d
  KEY=$(slipway keys create ci --json | jq -r .key)`,
    )
    .action(async (name, options) => (await import('./keys/commands.ts')).create(name, options));

  add('list', 'who has a key, without the keys')
    .addHelpText('after', '\nExamples:\n  slipway keys list\n  slipway keys list --json')
    .action(async (options) => (await import('./keys/commands.ts')).list(options));

  add('revoke <name>', 'take a key away; services notice within seconds')
    .addHelpText('after', '\nExample:\n  slipway keys revoke app')
    .action(async (name, options) => (await import('./keys/commands.ts')).revoke(name, options));
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It must be a whole number from 1.');
  return value;
}
