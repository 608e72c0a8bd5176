/**
 * Installs the peers from bench/package-lock.json when they are missing. Knows npm, not the peers.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';

const HERE = import.meta.dirname;
const LOCK = join(HERE, 'package-lock.json');
const STAMP = join(HERE, 'node_modules', '.slipway-installed');

export function installPeers(tell: (line: string) => void): void {
  if (existsSync(STAMP) && readFileSync(STAMP).equals(readFileSync(LOCK))) return;
  const folder = join(HERE, 'node_modules');
  // npm ci empties what a link points to.
  if (lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink()) {
    throw new AppError(
      'invalid_field',
      `${folder} is a symbolic link. Remove it, so that the peers can be installed there.`,
    );
  }
  tell('installing the peers into bench/node_modules (once) ...');
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: HERE,
    encoding: 'utf8',
    // Both would download GPU libraries; the peers run on the processor.
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip', NODE_LLAMA_CPP_SKIP_DOWNLOAD: 'true' },
  });
  if (npm.status !== 0) throw new Error(`npm ci failed in ${HERE}:\n${npm.error?.message ?? npm.stderr}`);
  copyFileSync(LOCK, STAMP);
}
