/**
 * What processes hold in memory now. Reads Linux's /proc.
 */
import { readFileSync } from 'node:fs';

/** MiB resident in a process and in each that it has started. */
export function residentSizes(pid: number): { own: number; children: readonly number[] } {
  return {
    own: mebibytesIn(`/proc/${pid}/status`, 'VmRSS'),
    children: childrenOf(pid).map((child) => mebibytesIn(`/proc/${child}/status`, 'VmRSS')),
  };
}

/** MiB of a process and all that it has started; pages that several of them share count once. */
export function sharedOutSize(pid: number): number {
  return [pid, ...childrenOf(pid)].reduce((sum, one) => sum + mebibytesIn(`/proc/${one}/smaps_rollup`, 'Pss'), 0);
}

function childrenOf(pid: number): readonly number[] {
  const listed = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return listed.split(' ').filter(Boolean).map(Number);
}

function mebibytesIn(file: string, field: string): number {
  const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(file, 'utf8'))?.[1];
  return Number(kibibytes ?? Number.NaN) / 1024;
}
