/**
 * Builds the page into dist/, whole or not at all: it is made in a folder beside, whose name says which process owns it, and then takes
 * dist's place. The service tells by that folder that a build is under way. With --if-stale, only when a source is newer than dist.
 */
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDead, newOwnedName } from '@slipway/shared/bucket/owner.ts';

const FOLDER = import.meta.dirname;
const DIST = join(FOLDER, 'dist');
const STAGING = 'dist.';

const isWanted = async () => !process.argv.includes('--if-stale') || (await isStale());

if (await isWanted()) await buildWhole();

async function isStale(): Promise<boolean> {
  const built = await timeOf(join(DIST, 'index.html'));
  const inside = await readdir(join(FOLDER, 'src'), { recursive: true });
  // A folder's time tells of files that were added and removed.
  const sources = [
    'index.html',
    'package.json',
    'public',
    'src',
    'vite.config.ts',
    ...inside.map((name) => join('src', name)),
  ];
  const times = await Promise.all(sources.map((name) => timeOf(join(FOLDER, name))));
  return times.some((time) => time > built);
}

/** 0 when it is not there. */
async function timeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.mtimeMs ?? 0;
}

async function buildWhole(): Promise<void> {
  await removeDead();
  const staging = join(FOLDER, STAGING + newOwnedName());
  try {
    const { build } = await import('vite');
    await build({ root: FOLDER, logLevel: 'warn', build: { outDir: staging, emptyOutDir: true } });
    // Who looks at the page would miss it for a moment, and for nothing when somebody else has built it meanwhile.
    if (await isWanted()) await takePlace(staging);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** What builds that were cut off have left. */
async function removeDead(): Promise<void> {
  for (const name of await readdir(FOLDER)) {
    if (!name.startsWith(STAGING)) continue;
    const path = join(FOLDER, name);
    const found = await stat(path).catch(() => undefined);
    const dead = found !== undefined && isDead(name.slice(STAGING.length), found.mtimeMs, Date.now());
    if (dead) await rm(path, { recursive: true, force: true });
  }
}

/** Two who build at once both end with a whole page: the later one's. */
async function takePlace(made: string): Promise<void> {
  const before = join(FOLDER, STAGING + newOwnedName());
  for (;;) {
    await rename(DIST, before).catch(ignoring('ENOENT'));
    try {
      await rename(made, DIST);
      return await rm(before, { recursive: true, force: true });
    } catch (error) {
      ignoring('ENOTEMPTY', 'EEXIST')(error);
      await rm(before, { recursive: true, force: true });
    }
  }
}

function ignoring(...codes: readonly string[]): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof Error && 'code' in error && codes.includes(String(error.code)))) throw error;
  };
}
