/**
 * Lends this machine's processes to trainings that another machine leads, one after the other. What they train on, and where checkpoints go,
 * they hear from there; nothing of it is known here.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { KernelCommand, Node } from './kernel-command.ts';

export interface JoinOptions {
  readonly kernel: KernelCommand;
  readonly leader: Pick<Node, 'address' | 'port'>;
  /** Ends the processes, and no others are lent. */
  readonly signal: AbortSignal;
  /** Each time processes have ended; 0 when the training they were lent to has. */
  readonly onEnded: (code: number | null) => void;
}

const LOOK_MILLISECONDS = 200;

/** Resolves when it was told to stop. AppError not_found where Python cannot be started. */
export async function joinTrainings({ kernel, leader, signal, onEnded }: JoinOptions): Promise<void> {
  const [program, ...args] = kernel.command;
  while (!signal.aborted) {
    const child = spawn(program, args, { stdio: ['ignore', 2, 2], env: kernel.environment, detached: true });
    const end = () => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    };
    signal.addEventListener('abort', end, { once: true });
    const [code] = await once(child, 'close').catch((cause: unknown) => {
      throw new AppError('not_found', `${program} could not be started; run ./slipway setup trainer`, { cause });
    });
    signal.removeEventListener('abort', end);
    if (signal.aborted) return;
    onEnded(code);
    // The training that ended is met there still, and nobody would notice that it is over: the next one has a meeting of its own.
    while (!signal.aborted && (await isMet(leader))) {
      await sleep(LOOK_MILLISECONDS, undefined, { signal }).catch(() => {});
    }
  }
}

function isMet({ address, port }: Pick<Node, 'address' | 'port'>): Promise<boolean> {
  return new Promise((settle) => {
    const connection = connect(port, address);
    const end = (is: boolean) => {
      connection.destroy();
      settle(is);
    };
    connection.once('connect', () => end(true));
    connection.once('error', () => end(false));
  });
}
