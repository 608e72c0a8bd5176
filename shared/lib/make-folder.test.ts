import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { makeFolder } from './make-folder.ts';

it('makes what is missing, and says which folder cannot be made', (context) => {
  const root = mkdtempSync(join(tmpdir(), 'slipway-folder-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const folder = join(root, 'a/b/c');
  for (let time = 0; time < 2; time++) makeFolder(folder);
  expect(existsSync(folder)).toBe(true);
  writeFileSync(join(root, 'file'), '');
  expect(() => makeFolder(join(root, 'file'))).toThrow('EEXIST');
  expect(() => makeFolder(join(root, 'file/a'))).toThrow('ENOTDIR');
  if (!existsSync('/proc/self')) return context.skip('there is no /proc here');
  // Node's own mkdir would never come back.
  expect(() => makeFolder('/proc/slipway/bucket')).toThrow("mkdir '/proc/slipway'");
});
