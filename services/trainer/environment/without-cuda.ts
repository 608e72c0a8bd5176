/**
 * A lock file without torch and what torch needs for CUDA only (5 of 5.9 GB), for machines without a GPU. Pure.
 */

const CUDA_ONLY = /^(torch|triton|cuda-[a-z-]+|nvidia-[a-z0-9-]+)==/;

export interface CpuLock {
  /** Everything else, hashes and all. */
  readonly rest: string;
  /** `torch==2.15.0` */
  readonly torch: string;
}

/** An entry is a line and the indented lines behind it. Throws when there is no torch in it. */
export function withoutCuda(lock: string): CpuLock {
  const entries = lock.split(/\n(?=\S)/);
  const torch = entries.map((entry) => /^torch==[0-9.]+/.exec(entry)?.[0]).find((found) => found !== undefined);
  if (torch === undefined) throw new Error('the lock file has no torch');
  return { rest: `${entries.filter((entry) => !CUDA_ONLY.test(entry)).join('\n')}\n`, torch };
}
