/**
 * What this processor can do that decides which of two equal graphs is opened. Knows no graph.
 */
import { readFileSync } from 'node:fs';

export interface Processor {
  /** As `process.arch` has it. */
  readonly architecture: string;
  /** Content of Linux's /proc/cpuinfo; null elsewhere. */
  readonly cpuInfo: string | null;
}

/**
 * Whether products of uint8 by int8 would overflow in 16 bits here, as they do on x64 without VNNI. False where that cannot be told:
 * ONNX Runtime then rewrites the weights itself, which costs a second and a copy of them.
 */
export function wantsUnsignedWeights({ architecture, cpuInfo }: Processor): boolean {
  if (architecture !== 'x64' || cpuInfo === null) return false;
  const flags = /^flags\s*:(.*)$/m.exec(cpuInfo)?.[1]?.split(/\s+/);
  return flags !== undefined && !flags.includes('avx512_vnni') && !flags.includes('avx_vnni');
}

export function readProcessor(): Processor {
  return { architecture: process.arch, cpuInfo: process.platform === 'linux' ? readCpuInfo() : null };
}

function readCpuInfo(): string | null {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    // A sandbox without /proc: nothing is known.
    return null;
  }
}
