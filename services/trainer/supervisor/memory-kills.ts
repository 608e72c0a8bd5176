/**
 * How often Linux has ended a process of this control group because its memory ran out: the only witness of such a death, which looks
 * like any SIGKILL. Undefined where no such counter can be read.
 */
import { readFileSync } from 'node:fs';

export function readMemoryKills(): number | undefined {
  const group = /^0::(.+)$/m.exec(read('/proc/self/cgroup'))?.[1]?.replace(/\/$/, '') ?? '';
  for (const file of [
    `/sys/fs/cgroup${group}/memory.events`,
    // Inside a container its own group is mounted as the root.
    '/sys/fs/cgroup/memory.events',
    '/sys/fs/cgroup/memory/memory.oom_control',
    // Of the whole machine: where no group limits memory.
    '/proc/vmstat',
  ]) {
    const count = /^oom_kill (\d+)$/m.exec(read(file))?.[1];
    if (count !== undefined) return Number(count);
  }
  return undefined;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
