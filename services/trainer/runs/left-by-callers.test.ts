import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { requireLeftThings, runWaitingFor } from './left-by-callers.ts';
import { runFolder } from './run-folder.ts';
import { newPlace, submitTiny } from './testing/tiny-run.ts';

it('are needed until the run has read them, and called by their ids when they are gone', async () => {
  const place = newPlace();
  const { dataFolder } = place;
  const [learnt, heldOut] = ['file-0a', 'file-0b'].map((id) => join(dataFolder, 'files', id));
  const { id, recipe } = await submitTiny(place, [`data.train=${learnt}`, `data.validation=[${heldOut}]`]);
  await submitTiny(place);
  for (const path of [learnt, heldOut]) expect(await runWaitingFor(path ?? '', dataFolder)).toBe(id);
  expect(await runWaitingFor(join(dataFolder, 'files/file-0c'), dataFolder)).toBeUndefined();
  const tokenizer = join(dataFolder, 'tokenizers/tok-1');
  const other = await submitTiny(place, [`tokenizer={path: ${tokenizer}}`]);
  expect(await runWaitingFor(tokenizer, dataFolder)).toBe(other.id);

  mkdirSync(join(dataFolder, 'files'));
  writeFileSync(learnt ?? '', '');
  const failure = await requireLeftThings(recipe, dataFolder).catch((error: Error) => error);
  expect(failure).toMatchObject({ code: 'not_found', message: expect.stringMatching(/^file-0b was deleted/) });
  writeFileSync(heldOut ?? '', '');
  await requireLeftThings(recipe, dataFolder);

  writeFileSync(runFolder(dataFolder, id).prepared, '{}');
  expect(await runWaitingFor(learnt ?? '', dataFolder)).toBeUndefined();
});
