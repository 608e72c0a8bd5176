/**
 * `slipway runs ...`: the commands over trainings. Knows their names and options; each one's file does the rest.
 */
import type { Command } from 'commander';
import { number, wholeNumber } from './number-option.ts';

export function register(program: Command): void {
  const runs = program
    .command('runs')
    .description('list, follow, pause, resume and cancel trainings, and free what they no longer need')
    .addHelpText(
      'after',
      `
Examples:
  slipway runs list
  slipway runs show run-20260131-140507-1a2b3c --follow
  slipway runs pause run-20260131-140507-1a2b3c      between two steps; what it has learnt is kept
  slipway runs resume run-20260131-140507-1a2b3c     it waits for a worker: follow it, or let a trainer run

Runs are kept in DATA_FOLDER/runs (default: ./data/runs).`,
    );
  const add = (usage: string, description: string) =>
    runs.command(usage).description(description).option('--json', 'print the outcome as JSON: the last line of stdout');

  add('list', 'all runs, the newest first').action(async (options) => (await import('./runs/list.ts')).list(options));

  add('show <run>', 'all that is known of a run')
    .option('--follow', 'stay until it ends, and work on it when no other process does')
    .action(async (run, options) => (await import('./runs/show.ts')).show(run, options));

  add('pause <run>', 'stop it between two steps, to be resumed').action(async (run, options) =>
    (await import('./runs/change.ts')).ask(run, 'paused', options),
  );

  add('resume <run>', 'put a paused or failed run back into the queue').action(async (run, options) =>
    (await import('./runs/change.ts')).resume(run, options),
  );

  add('cancel <run>', 'end it; nothing is published').action(async (run, options) =>
    (await import('./runs/change.ts')).ask(run, 'cancelled', options),
  );

  add('gc', 'free the checkpoints, trained models and prepared data of runs that ended long enough ago')
    .option('--dry-run', 'say what would be freed and change nothing')
    .option('--keep-days <days>', 'how long an ended run keeps everything', wholeNumber(0, 36_500), 7)
    .option(
      '--below [gib]',
      'only when the disk has less free (50 GiB when no number is given), and only until it has',
      number,
    )
    .addHelpText(
      'after',
      `
The record, recipe, events and log of a run stay, and so do its versions. What is queued, worked on or paused is left alone, and so is the
model that such a run goes on from. A run that has been freed cannot be resumed.

Examples:
  slipway runs gc --dry-run
  slipway runs gc --below --keep-days 1      in a nightly job: the oldest go first, until 50 GiB are free`,
    )
    .action(async (options) => (await import('./runs/gc.ts')).gc(options));
}
