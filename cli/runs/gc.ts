/**
 * `slipway runs gc`: room made by taking from ended runs what can go.
 */
import { freeRuns } from '@slipway/trainer/runs';
import { humanBytes } from '../human-units.ts';
import { textTable } from '../text-table.ts';
import { dataFolderOf, type RunOptions } from './data-folder.ts';

interface GcOptions extends RunOptions {
  readonly dryRun?: boolean;
  readonly keepDays: number;
  /** GiB; true: the usual. */
  readonly below?: number | true;
}

const BELOW_GIB = 50;

export async function gc({ json, dryRun = false, keepDays, below }: GcOptions): Promise<void> {
  const freed = await freeRuns(dataFolderOf(), {
    dryRun,
    graceMs: keepDays * 86_400_000,
    belowBytes: below === undefined ? null : (below === true ? BELOW_GIB : below) * 2 ** 30,
  });
  for (const { bucket, problem } of freed.buckets) {
    if (problem !== null) console.error(`${bucket}: what the runs have there stays: ${problem}`);
  }
  if (json) {
    const runs = freed.runs.map(({ run, bytes, kept }) => ({ run: run.id, state: run.state, bytes, kept }));
    console.log(JSON.stringify({ ...freed, runs, dry_run: dryRun }));
    return;
  }
  const rows = freed.runs.map(({ run, bytes, kept }) => [
    run.id,
    run.name,
    run.state,
    humanBytes(bytes),
    kept ?? (dryRun ? 'would be freed' : 'is freed'),
  ]);
  if (rows.length > 0) console.log(textTable(['run', 'name', 'state', '>size', ''], rows));
  for (const { bucket, examples } of freed.buckets) {
    if (examples.length === 0) continue;
    console.log(`Examples in ${bucket} that no version and no run names${dryRun ? ' would be freed' : ''}:`);
    for (const name of examples) console.log(`  ${name}`);
  }
  const inBuckets = freed.buckets.reduce((sum, { bytes }) => sum + bytes, 0);
  console.log(
    `${dryRun ? 'Would free' : 'Freed'} ${humanBytes(freed.bytes)} in ${dataFolderOf()}/runs and ${humanBytes(inBuckets)} in buckets.`,
  );
}
