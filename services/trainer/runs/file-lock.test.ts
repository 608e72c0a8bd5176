import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { lockFile } from './file-lock.ts';

it('is held by one, and free once that is killed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-lock-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'deep/worker.lock');
  const first = lockFile(file);
  expect(first).toBeDefined();
  expect(lockFile(file)).toBeUndefined();
  first?.();
  const program = fileURLToPath(new URL('./testing/hold-lock.ts', import.meta.url));
  const other = spawn(process.execPath, [program, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(other.stdout, 'data');
  expect(lockFile(file)).toBeUndefined();
  other.kill('SIGKILL');
  await once(other, 'close');
  const again = lockFile(file);
  expect(again).toBeDefined();
  again?.();
});
