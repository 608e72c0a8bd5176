/**
 * A run that a caller may see: one of another key is answered as if it did not exist.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { mayAccess, type Principal } from '@slipway/shared/http/principal.ts';
import { readRun } from '../../runs/run-folder.ts';
import type { RunRecord } from '../../runs/run-record.ts';

/** AppError not_found. `field`: where its id was given. */
export async function accessibleRun(
  dataFolder: string,
  id: string | undefined,
  principal: Principal,
  field = 'id',
): Promise<RunRecord> {
  const run = await readRun(dataFolder, id ?? '').catch((error) => {
    if (!(error instanceof AppError && error.code === 'not_found')) throw error;
  });
  if (run !== undefined && mayAccess(principal, run.owner)) return run;
  throw new AppError('not_found', `there is no run ${JSON.stringify(id?.slice(0, 100))}`, { field });
}
