/** A run of a recipe that any schema accepts, in a data folder of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRecipe } from '@slipway/shared/contracts/parse-recipe.ts';
import { openEmbeddedQueue } from '@slipway/shared/jobs/embedded.ts';
import type { JobQueue } from '@slipway/shared/jobs/job-queue.ts';
import { onTestFinished } from 'vitest';
import { EventReader } from '../event-log.ts';
import { LoggedEvent } from '../run-event.ts';
import { runFolder } from '../run-folder.ts';
import type { RunRecord } from '../run-record.ts';
import { submitRun } from '../submit-run.ts';

const RECIPE = `
name: tiny
model: { scratch: { family: gpt2, layers: 1, heads: 1, hidden_size: 8, context_length: 8 } }
tokenizer: { kind: character }
data: { train: /plays.txt }
training: { max_steps: 60, checkpoint_every: 10 }
`;

export interface Place {
  readonly dataFolder: string;
  readonly queue: JobQueue;
}

export function newPlace(): Place {
  const dataFolder = mkdtempSync(join(tmpdir(), 'slipway-runs-'));
  const queue = openEmbeddedQueue(join(dataFolder, 'jobs.db'));
  onTestFinished(async () => {
    await queue.close();
    rmSync(dataFolder, { recursive: true, force: true });
  });
  return { dataFolder, queue };
}

export function submitTiny({ dataFolder, queue }: Place, changes: readonly string[] = []): Promise<RunRecord> {
  const { recipe } = parseRecipe({ text: RECIPE, label: 'tiny.yaml', changes });
  return submitRun(dataFolder, queue, {
    recipe,
    label: 'tiny.yaml',
    bucketUrl: join(dataFolder, 'bucket'),
    owner: 'ada',
  });
}

export function eventsOf({ dataFolder }: Place, id: string): LoggedEvent[] {
  return new EventReader(runFolder(dataFolder, id).events).read().map((event) => LoggedEvent.parse(event));
}

/** Step -> loss; of a step that was done twice, the last. */
export function lossCurve(events: readonly LoggedEvent[]): ReadonlyMap<number, number> {
  return new Map(events.flatMap((event) => (event.type === 'progress' ? [[event.step, event.loss] as const] : [])));
}
