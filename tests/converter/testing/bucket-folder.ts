/** What lies in a folder bucket, seen from outside: by its files, not through its code. */
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

export function makeScratch(): Promise<string> {
  return mkdtemp(path.join(tmpdir(), 'slipway-convert-'));
}

/** Removed when the test ends. */
export async function scratch(): Promise<string> {
  const folder = await makeScratch();
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Relative paths of all files, sorted; staging included. */
export function filesIn(folder: string): string[] {
  return globSync('**/*', { cwd: folder, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();
}

/** Files of a bucket that no published version needs. */
export function leftovers(bucket: string): string[] {
  const needed = new Set<string>();
  for (const manifest of globSync('manifests/*/*.json', { cwd: bucket })) {
    const { files } = JSON.parse(readFileSync(path.join(bucket, manifest), 'utf8')) as { files: { sha256: string }[] };
    for (const { sha256 } of files) needed.add(sha256);
  }
  return filesIn(bucket).filter((file) => !file.startsWith('manifests/') && !needed.has(path.basename(file)));
}
