/**
 * What the container or machine still has, what a process holds, and what a model will need: from what another took, scaled by size.
 * Reads the kernel's files; estimates by pure functions.
 */
import { readFileSync } from 'node:fs';
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';

/** Contents of the kernel's files; null: there is no such file. */
export interface MemoryReadings {
  /** cgroup v2's memory.max (`max`: no limit), memory.current and memory.stat, or v1's limit_in_bytes, usage_in_bytes and stat. */
  readonly limit: string | null;
  readonly usage: string | null;
  readonly stat: string | null;
  readonly meminfo: string | null;
}

/** Bytes. Null where nothing can be read: not Linux. */
export function availableMemory({ limit, usage, stat, meminfo }: MemoryReadings): number | null {
  const kibibytes = /^MemAvailable:\s+(\d+) kB$/m.exec(meminfo ?? '')?.[1];
  const machine = kibibytes === undefined ? Number.POSITIVE_INFINITY : Number(kibibytes) * 1024;
  const most = Number(limit ?? 'max');
  // Cached files count as used, but those not read lately go before anything is refused.
  const cached = Number(/^(?:total_)?inactive_file (\d+)$/m.exec(stat ?? '')?.[1] ?? 0);
  const container = Number.isFinite(most) ? most - Math.max(0, Number(usage ?? 0) - cached) : Number.POSITIVE_INFINITY;
  const available = Math.min(machine, container);
  return Number.isFinite(available) ? Math.max(0, available) : null;
}

/** Inside a container its own cgroup is mounted at the root of the hierarchy. */
export function readMemory(): MemoryReadings {
  const v2 = '/sys/fs/cgroup/memory';
  const v1 = '/sys/fs/cgroup/memory/memory';
  return {
    limit: readOrNull(`${v2}.max`) ?? readOrNull(`${v1}.limit_in_bytes`),
    usage: readOrNull(`${v2}.current`) ?? readOrNull(`${v1}.usage_in_bytes`),
    stat: readOrNull(`${v2}.stat`) ?? readOrNull(`${v1}.stat`),
    meminfo: readOrNull('/proc/meminfo'),
  };
}

/** The most that a process has held in memory since it began, loading included. Null: not known here. */
export function peakMemoryOf(pid: number): number | null {
  return readStatus(pid, /^VmHWM:\s+(\d+) kB$/m);
}

/** What a process holds in memory now. Null: not known here. */
export function residentMemoryOf(pid: number): number | null {
  return readStatus(pid, /^VmRSS:\s+(\d+) kB$/m);
}

function readStatus(pid: number, field: RegExp): number | null {
  const kibibytes = field.exec(readOrNull(`/proc/${pid}/status`) ?? '')?.[1];
  return kibibytes === undefined ? null : Number(kibibytes) * 1024;
}

/** A process with the runtime and no model. */
const EMPTY_ENGINE_BYTES = 100 * 2 ** 20;
/** Weights are there twice while the runtime packs them for its kernels. */
const PACKED = 2;

export interface Footprint {
  readonly weightBytes: number;
  readonly cacheBytes: number;
}

export function footprintOf({ files, weights, graphs }: Manifest, slots: number, contextLength: number): Footprint {
  const { layout, layers, kv_heads, head_dim, cache_scales } = graphs.serving;
  const positions = layout === 'recurrent' ? 1 : contextLength;
  const elements = 2 * layers * kv_heads * head_dim * positions * (slots + 1);
  return {
    weightBytes: files.find(({ path }) => path === weights)?.bytes ?? 0,
    cacheBytes: elements * (cache_scales === null ? 4 : 1),
  };
}

export interface MeasuredFootprint {
  readonly footprint: Footprint;
  readonly peakBytes: number;
  /** Of the very version that is asked about: then nothing is left to estimate. */
  readonly isItself: boolean;
}

/** Bytes that an engine for `next` needs, from what the closest measured one has taken; from its files alone when there is none. */
export function estimateMemory(next: Footprint, measured?: MeasuredFootprint): number {
  const size = ({ weightBytes, cacheBytes }: Footprint) => weightBytes + cacheBytes;
  const byFiles = EMPTY_ENGINE_BYTES + PACKED * next.weightBytes + next.cacheBytes;
  if (measured === undefined || size(measured.footprint) === 0) return byFiles;
  if (measured.isItself) return measured.peakBytes;
  const ownOfMeasured = Math.max(0, measured.peakBytes - EMPTY_ENGINE_BYTES);
  return EMPTY_ENGINE_BYTES + ownOfMeasured * (size(next) / size(measured.footprint));
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
