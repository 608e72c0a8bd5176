/**
 * Who a staging folder belongs to, written in its name so that folder and owner appear in one step, and whether that
 * process still lives. Process ids are reused, and mean nothing on another machine or in another container.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** An owner elsewhere cannot be asked; its folder is touched this often, and is dead when untouched for much longer. */
export const HEARTBEAT_MS = 30_000;
const DEAD_AFTER_MS = 10 * 60_000;

/** This process's folder names: place-pid-startTime-random. */
export function newOwnedName(): string {
  return `${ownerNameOf(process.pid)}-${randomBytes(4).toString('hex')}`;
}

/** What `isDead` asks about: place-pid-startTime. */
export function ownerNameOf(pid: number): string {
  return `${place()}-${pid}-${startTimeOf(pid) ?? '0'}`;
}

/** `lastTouched`: milliseconds since the epoch. Unknown names are judged by age alone. */
export function isDead(ownedName: string, lastTouched: number, now: number): boolean {
  const [owner, pid, startTime] = ownedName.split('-');
  if (owner !== place()) return now - lastTouched > DEAD_AFTER_MS;
  if (Number(pid) === process.pid) return false;
  return startTimeOf(Number(pid)) !== startTime;
}

/** Tells one start of the machine from the next; empty where that is not known. */
export function bootId(): string {
  return readOrEmpty('/proc/sys/kernel/random/boot_id').trim();
}

export function isMine(ownedName: string): boolean {
  const [owner, pid] = ownedName.split('-');
  return owner === place() && Number(pid) === process.pid;
}

let cachedPlace: string | undefined;

/** The same for all processes that can see each other's process ids: one boot of one machine, one container. */
function place(): string {
  cachedPlace ??= createHash('sha256')
    .update([hostname(), bootId(), pidNamespace()].join('\n'))
    .digest('hex')
    .slice(0, 12);
  return cachedPlace;
}

/** Clock ticks after boot at which the process began (Linux); '0' for a living process elsewhere; undefined: no such process. */
function startTimeOf(pid: number): string | undefined {
  if (process.platform === 'linux') {
    // Field 22; the second field, the program's name, may hold spaces and brackets.
    const fields = readOrEmpty(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ');
    // A zombie has ended: it only waits to be asked for its exit code.
    return fields?.[0] === 'Z' ? undefined : fields?.[19];
  }
  try {
    process.kill(pid, 0);
    return '0';
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM' ? '0' : undefined;
  }
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
