/**
 * `slipway runs ...`: the commands over trainings. Knows their names and options; each one's file does the rest.
 */
import type { Command } from 'commander';

export function register(program: Command): void {
  const runs = program
    .command('runs')
    .description('list, follow, pause, resume and cancel trainings')
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
}
