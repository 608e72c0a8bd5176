/**
 * How often Linux has ended a process of this control group because its memory ran out: the only witness of such a death, which looks
 * like any SIGKILL. Undefined where no such counter can be read.
 */
import { readFileSync } from 'node:fs';

export function readMemoryKills(): number | undefined {
  const groups = read('/proc/self/cgroup');
  const unified = groupIn(groups, /^0::(.+)$/m);
  const memory = groupIn(groups, /^\d+:(?:[^:]+,)?memory(?:,[^:]+)?:(.+)$/m);
  for (const file of [
    `/sys/fs/cgroup${unified}/memory.events`,
    // Inside a container its own group is mounted as the root.
    '/sys/fs/cgroup/memory.events',
    // The first version of control groups, with a tree for each resource; a group's counter does not have its children's.
    `/sys/fs/cgroup/memory${memory}/memory.oom_control`,
    '/sys/fs/cgroup/memory/memory.oom_control',
    // Of the whole machine: where no group limits memory.
    '/proc/vmstat',
  ]) {
    const count = /^oom_kill (\d+)$/m.exec(read(file))?.[1];
    if (count !== undefined) return Number(count);
  }
  return undefined;
}

function groupIn(groups: string, pattern: RegExp): string {
  return pattern.exec(groups)?.[1]?.replace(/\/$/, '') ?? '';
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
