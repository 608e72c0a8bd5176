/**
 * `slipway trainer join`: lends this machine to trainings that another one leads, until it is interrupted.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { joinTrainings } from '@slipway/trainer/join-trainings';
import { countProcesses, kernelCommand, meetingPoint } from '@slipway/trainer/kernel-command';
import { interruptible } from '../interruptible.ts';
import { requirePython } from '../require-python.ts';

export interface JoinFlags {
  readonly nodes: number;
  readonly rank: number;
  readonly processes?: number;
}

export async function join({ nodes, rank, processes }: JoinFlags): Promise<void> {
  if (rank >= nodes) {
    throw new AppError('invalid_field', `--rank ${rank}: of ${nodes} machines those that join are 1 to ${nodes - 1}`);
  }
  const node = { ...meetingPoint(process.env), count: nodes, rank };
  const kernel = kernelCommand(await requirePython(), await countProcesses(processes ?? 'auto', 'auto'), node);
  const tell = (line: string) => console.error(`${new Date().toISOString().slice(11, 19)}  ${line}`);
  tell(`machine ${rank} of ${nodes} waits for trainings at ${node.address}:${node.port}`);
  await interruptible('this machine has left', (signal) =>
    joinTrainings({
      kernel,
      leader: node,
      signal,
      onEnded: (code) =>
        tell(code === 0 ? 'a training has ended' : 'a training broke off; it goes on when it is begun again'),
    }),
  );
}
