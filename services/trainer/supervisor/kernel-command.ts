/**
 * How a kernel is started: by which Python, and as how many processes. Knows no job.
 */
import { execFile } from 'node:child_process';
import { delimiter } from 'node:path';
import { promisify } from 'node:util';
import { KERNEL } from '../environment/kernel-environment.ts';

export interface KernelCommand {
  /** A program and its arguments. */
  readonly command: readonly [string, ...string[]];
  readonly environment: NodeJS.ProcessEnv;
}

/** `python`: a program that has what the kernel imports. One process unless more are asked for. */
export function kernelCommand(python: string, processes = 1): KernelCommand {
  const { PYTHONPATH } = process.env;
  const spread = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', String(processes)];
  return {
    command: [python, ...(processes > 1 ? spread : []), '-m', 'slipway_kernel'],
    environment: { ...process.env, PYTHONPATH: PYTHONPATH ? `${KERNEL}${delimiter}${PYTHONPATH}` : KERNEL },
  };
}

/** As a recipe's training has it; `auto`: one for each graphics card, and one where there is none. */
export async function countProcesses(asked: number | 'auto', device: 'auto' | 'cpu' | 'cuda'): Promise<number> {
  if (asked !== 'auto') return asked;
  if (device === 'cpu') return 1;
  const visible = process.env.CUDA_VISIBLE_DEVICES;
  if (visible !== undefined && visible !== '') return visible.split(',').length;
  const cards = await promisify(execFile)('nvidia-smi', ['--list-gpus']).then(
    ({ stdout }) => stdout.split('\n').filter((line) => line.startsWith('GPU ')).length,
    () => 0,
  );
  return Math.max(1, cards);
}
