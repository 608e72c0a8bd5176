/**
 * `slipway runs list`: every run, newest first.
 */
import { listRuns, type RunRecord } from '@slipway/trainer/runs';
import { humanAgo } from '../human-units.ts';
import { fitTerminal, textTable } from '../text-table.ts';
import { dataFolderOf, type RunOptions } from './data-folder.ts';

export async function list({ json }: RunOptions): Promise<void> {
  const runs = await listRuns(dataFolderOf(), (_, why) => console.error(why));
  if (json) {
    console.log(JSON.stringify({ runs: runs.map(({ recipe: _, ...run }) => run) }));
    return;
  }
  if (runs.length === 0) {
    console.log(`no runs in ${dataFolderOf()}/runs. Begin one: slipway train recipes/shakespeare-gpt2.yaml --follow`);
    return;
  }
  const now = new Date();
  const rows = runs.map((run) => [
    run.id,
    run.name,
    run.state,
    stepsOf(run),
    lossOf(run),
    humanAgo(new Date(run.created_at), now),
    run.message,
  ]);
  const table = textTable(['run', 'name', 'state', '>steps', '>loss', 'begun', ''], rows);
  console.log(fitTerminal(table, process.stdout));
}

function stepsOf({ trained, checkpoint_step }: RunRecord): string {
  return String(trained?.step ?? checkpoint_step ?? '');
}

function lossOf({ trained }: RunRecord): string {
  return (trained?.best_loss ?? trained?.loss)?.toFixed(3) ?? '';
}
