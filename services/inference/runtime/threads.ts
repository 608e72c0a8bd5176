/**
 * How many threads the engine may use. Containers limit processor time, not what `os.cpus()` shows, and runtimes that trust the latter
 * spend their time being stopped.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

export interface ProcessorLimits {
  /** What the settings ask for. */
  readonly configured: number | null;
  /** Content of cgroup v2's cpu.max: `max 100000` or `150000 100000` (microseconds of processor time per period). */
  readonly cpuMax: string | null;
  /** Content of cgroup v1's cpu.cfs_quota_us (-1 is none) and cpu.cfs_period_us. */
  readonly cfsQuota: string | null;
  readonly cfsPeriod: string | null;
  /** Processors this process may be scheduled on. */
  readonly parallelism: number;
}

/** Whole threads that the limit can feed; at least one. */
export function threadsFor(limits: ProcessorLimits): number {
  if (limits.configured !== null) return limits.configured;
  const [quota, period] = limits.cpuMax?.trim().split(/\s+/) ?? [limits.cfsQuota?.trim(), limits.cfsPeriod?.trim()];
  const processors = Number(quota) / Number(period);
  const limit = processors > 0 && Number.isFinite(processors) ? Math.floor(processors) : Number.POSITIVE_INFINITY;
  return Math.max(1, Math.min(limit, limits.parallelism));
}

/** Inside a container its own cgroup is mounted at the root of the hierarchy. */
export function readProcessorLimits(configured: number | null): ProcessorLimits {
  return {
    configured,
    cpuMax: readOrNull('/sys/fs/cgroup/cpu.max'),
    cfsQuota: readOrNull('/sys/fs/cgroup/cpu/cpu.cfs_quota_us'),
    cfsPeriod: readOrNull('/sys/fs/cgroup/cpu/cpu.cfs_period_us'),
    parallelism: availableParallelism(),
  };
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Not Linux, or the other version of cgroups: there is no such limit.
    return null;
  }
}
