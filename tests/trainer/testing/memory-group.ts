/** A control group of Linux with little memory, for processes that the system is to kill. Needs root, and a tree of groups to write to. */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Of both versions of control groups: where groups with a limit on memory lie, and what has the limits, swap's so that there is none. */
const TREES = [
  { path: '/sys/fs/cgroup', limit: 'memory.max', swap: 'memory.swap.max', swapOf: () => 0 },
  {
    path: '/sys/fs/cgroup/memory',
    limit: 'memory.limit_in_bytes',
    swap: 'memory.memsw.limit_in_bytes',
    swapOf: (bytes: number) => bytes,
  },
];
const NAME = `slipway-test-${process.pid}`;
let made = 0;

const tree = TREES.find(({ path, limit }) => {
  const folder = join(path, NAME);
  try {
    mkdirSync(folder);
  } catch {
    return false;
  }
  const isLimited = existsSync(join(folder, limit));
  rmdirSync(folder);
  return isLimited;
});

/** Empty, or why tests that need a group are skipped. */
export const memoryGroupMissing = tree === undefined ? ' (skipped: no control group can be made here)' : '';

/** Moves a process, and with it all it starts from then on, into a group of `bytes`, which is removed when the test ends. */
export function limitMemory(pid: number, bytes: number): void {
  if (tree === undefined) throw new Error('no control group can be made here');
  const folder = join(tree.path, `${NAME}-${made++}`);
  mkdirSync(folder);
  onTestFinished(() => rmdirSync(folder));
  writeFileSync(join(folder, tree.limit), String(bytes));
  if (existsSync(join(folder, tree.swap))) writeFileSync(join(folder, tree.swap), String(tree.swapOf(bytes)));
  writeFileSync(join(folder, 'cgroup.procs'), String(pid));
}
