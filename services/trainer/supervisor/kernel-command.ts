/**
 * How a kernel is started: by which Python, as how many processes, and beside which other machines. Knows no job.
 */
import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { delimiter } from 'node:path';
import { promisify } from 'node:util';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { z } from 'zod';
import { KERNEL } from '../environment/kernel-environment.ts';

export interface KernelCommand {
  /** A program and its arguments. */
  readonly command: readonly [string, ...string[]];
  readonly environment: NodeJS.ProcessEnv;
}

/** One machine among several that train together. */
export interface Node {
  readonly count: number;
  /** 0: the one that leads, whose supervisor hears the kernel. */
  readonly rank: number;
  /** Of the one that leads. */
  readonly address: string;
  readonly port: number;
}

/** `python`: a program that has what the kernel imports. One process here, and no other machine, unless more are asked for. */
export function kernelCommand(python: string, processes = 1, node?: Node): KernelCommand {
  const { PYTHONPATH } = process.env;
  const spread = ['-m', 'slipway_kernel.spread', ...placeAmong(node), '--nproc-per-node', String(processes)];
  return {
    command: [python, ...(processes > 1 || node !== undefined ? spread : []), '-m', 'slipway_kernel'],
    environment: {
      ...process.env,
      PYTHONPATH: PYTHONPATH ? `${KERNEL}${delimiter}${PYTHONPATH}` : KERNEL,
      // Who was killed before a kernel could bind itself to it is looked for by that kernel.
      SLIPWAY_STARTED_BY: String(process.pid),
    },
  };
}

function placeAmong(node: Node | undefined): string[] {
  if (node === undefined) return ['--standalone'];
  const { count, rank, address, port } = node;
  const places = { '--nnodes': count, '--node-rank': rank, '--master-addr': address, '--master-port': port };
  return Object.entries(places).flatMap(([option, value]) => [option, String(value)]);
}

const Meeting = z.object({
  MASTER_ADDR: z.string().min(1),
  MASTER_PORT: z.coerce.number().int().min(1).max(65_535).default(29_500),
});

/** Where machines meet, by the names that torchrun has for it. AppError invalid_field. */
export function meetingPoint(environment: NodeJS.ProcessEnv): Pick<Node, 'address' | 'port'> {
  const { data } = Meeting.safeParse(environment);
  if (data === undefined) {
    throw new AppError(
      'invalid_field',
      'several machines need MASTER_ADDR: the address under which the others reach the one that leads; and MASTER_PORT, a port that is free there (default: 29500)',
    );
  }
  return { address: data.MASTER_ADDR, port: data.MASTER_PORT };
}

const MOST_PER_CORE = 4;

/** As CUDA reads it: what comes behind an entry that names no card (nothing, -1) is not visible. */
export function countVisible(names: string): number {
  const entries = names.split(',').map((name) => name.trim());
  const end = entries.findIndex((name) => name === '' || name.startsWith('-'));
  return end === -1 ? entries.length : end;
}

/**
 * As a recipe's training has it; `auto`: one for each graphics card, and one where there is none. AppError invalid_field for so many that
 * nothing else would run here any more.
 */
export async function countProcesses(asked: number | 'auto', device: 'auto' | 'cpu' | 'cuda'): Promise<number> {
  if (asked !== 'auto') {
    const cores = availableParallelism();
    if (asked <= MOST_PER_CORE * cores) return asked;
    const most = `${MOST_PER_CORE * cores} on this machine, which has ${cores} processors`;
    throw new AppError('invalid_field', `training.processes: ${asked} are asked for, but at most ${most}`);
  }
  if (device === 'cpu') return 1;
  const visible = process.env.CUDA_VISIBLE_DEVICES;
  if (visible !== undefined) return Math.max(1, countVisible(visible));
  const cards = await promisify(execFile)('nvidia-smi', ['--list-gpus']).then(
    ({ stdout }) => stdout.split('\n').filter((line) => line.startsWith('GPU ')).length,
    () => 0,
  );
  return Math.max(1, cards);
}
