/**
 * `slipway runs show`: a run with its curves, or, with --follow, as it happens.
 */
import { EventReader, LoggedEvent, readRun, runFolder } from '@slipway/trainer/runs';
import { EMPTY_PICTURE, withEvent } from '../train/run-picture.ts';
import { dataFolderOf, type RunOptions, reportFollowed, showOutcome } from './data-folder.ts';
import { describeRun } from './describe-run.ts';

export async function show(id: string, { json, follow }: RunOptions & { readonly follow?: true }): Promise<void> {
  const dataFolder = dataFolderOf();
  const run = await readRun(dataFolder, id);
  if (follow) {
    await reportFollowed(dataFolder, id, { isJson: json ?? false, since: 0 });
    return;
  }
  if (json) {
    console.log(JSON.stringify(run));
    return;
  }
  const folder = runFolder(dataFolder, id);
  const events = new EventReader(folder.events).read().map((event) => LoggedEvent.parse(event));
  const picture = events.reduce(withEvent, EMPTY_PICTURE);
  console.log(`${describeRun(run, folder.path, new Date())}\n`);
  showOutcome(run, picture);
}
