import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runFolder } from './run-folder.ts';
import { requireSentFiles, runWaitingFor } from './sent-files.ts';
import { newPlace, submitTiny } from './testing/tiny-run.ts';

it('are needed until the run has read them, and called by their ids when they are gone', async () => {
  const place = newPlace();
  const { dataFolder } = place;
  const [learnt, heldOut] = ['file-0a', 'file-0b'].map((id) => join(dataFolder, 'files', id));
  const { id, recipe } = await submitTiny(place, [`data.train=${learnt}`, `data.validation=[${heldOut}]`]);
  await submitTiny(place);
  for (const path of [learnt, heldOut]) expect(await runWaitingFor(path ?? '', dataFolder)).toBe(id);
  expect(await runWaitingFor(join(dataFolder, 'files/file-0c'), dataFolder)).toBeUndefined();

  mkdirSync(join(dataFolder, 'files'));
  writeFileSync(learnt ?? '', '');
  const failure = await requireSentFiles(recipe, dataFolder).catch((error: Error) => error);
  expect(failure).toMatchObject({ code: 'not_found', message: expect.stringMatching(/^file-0b was deleted/) });
  writeFileSync(heldOut ?? '', '');
  await requireSentFiles(recipe, dataFolder);

  writeFileSync(runFolder(dataFolder, id).prepared, '{}');
  expect(await runWaitingFor(learnt ?? '', dataFolder)).toBeUndefined();
});
