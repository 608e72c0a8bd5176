/** Runs that train nothing and say that they have published the bundled model, which is there to be asked. */
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BUNDLED_BUCKET, bucketsFor, findVersion } from '@slipway/inference/find-version';
import { type Answered, ask, type Folders, newFolders, post, recipe } from './test-trainer.ts';

export const STORY =
  'ROMEO:\nWhat say you, my lord? I will not be so bold to speak with thee, and yet I love thee well.\n';

export const { name: NAME } = (await findVersion(bucketsFor(BUNDLED_BUCKET), null)).manifest;
export const VERSION = `${NAME}@v001`;

/** With a copy of the bundled bucket, in which runs keep their checkpoints, and the story in story.txt. */
export function newPlace(...onEnd: Parameters<typeof newFolders>): Folders {
  const place = newFolders(...onEnd);
  cpSync(BUNDLED_BUCKET, join(place.root, 'bucket'), { recursive: true });
  writeFileSync(join(place.corpus, 'story.txt'), STORY);
  return place;
}

/** Has published VERSION. */
export async function newRun(url: string): Promise<string> {
  const { body } = await post(url, '/runs/train', recipe().replace('name: tiny', `name: ${NAME}`));
  for (;;) {
    const run = (await ask(url, `/runs/${body.id}`)).body;
    if (run.state === 'succeeded') return body.id;
    await sleep(20);
  }
}

/** Polls until the task has ended. */
export async function ended(url: string, path: string): Promise<Answered['body']> {
  for (;;) {
    const { body } = await ask(url, path);
    if (body.ended_at !== null) return body;
    await sleep(50);
  }
}
