/** What a file can reach while it is read: in a process that Node allows to read this repository and one folder, and nothing else. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { f32 } from '../testing/gguf-bytes.ts';
import { scratchFolder } from '../testing/scratch.ts';
import * as p from './testing/pickle-bytes.ts';
import { torchZip } from './testing/zip-bytes.ts';

const REPOSITORY = join(import.meta.dirname, '../../../..');
const FIXTURES = join(import.meta.dirname, 'fixtures');

async function readConfined(paths: readonly string[], readable: readonly string[]): Promise<string[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--permission',
    ...[REPOSITORY, ...readable].map((path) => `--allow-fs-read=${path}`),
    join(import.meta.dirname, 'testing/read-files.ts'),
    ...paths,
  ]);
  return stdout.trim().split('\n');
}

test('good files are read and hostile ones refused without writing, starting a process or opening another file', async () => {
  const folder = await scratchFolder();
  const marker = join(folder, 'was-here');
  const outside = await scratchFolder({ secret: f32(1, 2) });
  const state = (value: Uint8Array) => torchZip(p.pickle(p.dict({ w: value })), { '0': f32(1, 2) });
  const files = {
    'good.pt': readFileSync(join(FIXTURES, 'training-run.pt')),
    'legacy.pt': readFileSync(join(FIXTURES, 'views-legacy.pt')),
    'system.pt': state(p.call('posix', 'system', p.text(`touch ${marker}`))),
    'open.pt': state(p.call('builtins', 'open', p.text(marker), p.text('w'))),
    'climb.pt': state(p.tensor({ key: `../../..${outside}/secret` })),
    'absolute.pt': state(p.tensor({ key: `${outside}/secret` })),
  };
  const at = await scratchFolder(files);
  const paths = Object.keys(files).map((name) => join(at, name));
  expect(await readConfined(paths, [at])).toEqual([
    'read',
    'read',
    'unsupported_source',
    'unsupported_source',
    'invalid_source',
    'invalid_source',
  ]);
  expect(existsSync(marker)).toBe(false);
  // The confinement is real.
  expect(await readConfined([join(outside, 'secret')], [at])).toEqual(['invalid_source']);
  expect(await readConfined([join(at, 'good.pt')], [])).toEqual(['invalid_source']);
});
