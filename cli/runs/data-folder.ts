/**
 * What all commands over runs share: where runs are kept, and how a followed one is reported.
 */

import { followRun } from '../train/follow-run.ts';
import { COLOURS, PLAIN } from '../train/run-lines.ts';
import { describeOutcome, exitCodeOf, outcomeForPrograms } from '../train/run-outcome.ts';

export interface RunOptions {
  readonly json?: true;
}

export function dataFolderOf(): string {
  return process.env.DATA_FOLDER || 'data';
}

/** Sets the exit code. */
export async function reportFollowed(dataFolder: string, id: string, isJson: boolean): Promise<void> {
  const { run, picture, isInterrupted } = await followRun(dataFolder, id, isJson);
  const { isTTY, columns } = process.stdout;
  if (isJson) console.log(JSON.stringify(outcomeForPrograms(run)));
  else console.log(describeOutcome(run, picture, isTTY ? columns : 80, isTTY ? COLOURS : PLAIN));
  process.exitCode = exitCodeOf(run, isInterrupted);
}
