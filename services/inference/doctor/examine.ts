/**
 * Looks at a set-up as the service would meet it, in the order in which things fail. The door by which the command line asks; changes
 * nothing but the cache of verified files.
 */

import { readFile } from 'node:fs/promises';
import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import { readProcessorLimits, threadsFor } from '../engine/index.ts';
import type { Finding } from './finding.ts';
import { judgeNode, judgeProcessor, judgeThreads } from './machine.ts';
import { checkModel } from './model.ts';
import { checkDataFolder, checkKeys, checkPort, judgeDraining } from './settings.ts';

export type { Finding } from './finding.ts';

export interface Examination {
  readonly config: ServiceConfig;
  /** Seconds that the platform waits between SIGTERM and SIGKILL; null when that is not known. */
  readonly grace: number | null;
}

export async function* examine({ config, grace }: Examination): AsyncGenerator<Finding> {
  const limits = readProcessorLimits(null);
  yield judgeNode(process.versions.node);
  yield judgeProcessor(process.arch, await readFile('/proc/cpuinfo', 'utf8').catch(() => null));
  yield judgeThreads(config.threads, threadsFor(limits), processorLimit(limits.cpuMax));
  yield await checkPort(config);
  yield await checkKeys(config);
  yield await checkDataFolder(config);
  yield judgeDraining(config, grace);
  yield* checkModel(config);
}

/** Of cgroup v2's cpu.max; null: no limit. */
function processorLimit(cpuMax: string | null): number | null {
  const [quota, period] = (cpuMax ?? '').trim().split(/\s+/).map(Number);
  const processors = Number(quota) / Number(period);
  return Number.isFinite(processors) && processors > 0 ? processors : null;
}
