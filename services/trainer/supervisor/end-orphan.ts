/**
 * Ends the kernel that a killed supervisor left: it ends by itself when its stdin does, but perhaps not before the next one would start.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDead, ownerNameOf } from '@slipway/shared/bucket/owner.ts';

/** Remembers a kernel in a file. */
export function rememberKernel(file: string, pid: number): void {
  writeFileSync(file, ownerNameOf(pid));
}

/** Resolves once the kernel of that file is gone. One of another machine is left to itself. */
export async function endOrphan(file: string): Promise<void> {
  let name: string;
  try {
    name = readFileSync(file, 'utf8');
  } catch {
    return;
  }
  const pid = Number(name.split('-')[1]);
  // Only a name given here, on this boot, says whose process that number is.
  if (!name.startsWith(`${ownerNameOf(process.pid).split('-')[0]}-${pid}-`)) return;
  while (!isDead(name, Date.now(), Date.now())) {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
    await sleep(20);
  }
}
