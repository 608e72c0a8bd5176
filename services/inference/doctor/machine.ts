/**
 * What the machine or container offers, judged: Node, processor, threads, memory, disk. Pure; who calls has read it.
 */
import { advice, type Finding, ok, problem } from './finding.ts';

const OLDEST_NODE = 24;

export function judgeNode(version: string): Finding {
  if (Number(version.split('.')[0]) >= OLDEST_NODE) return ok('Node.js', version);
  return problem(
    'Node.js',
    `${version} cannot run TypeScript as it stands`,
    `Install Node.js ${OLDEST_NODE} or newer from nodejs.org, or start by ./slipway, which brings its own.`,
  );
}

/** `cpuInfo`: Linux's /proc/cpuinfo, or null. Integer products decide how fast quantized models decode. */
export function judgeProcessor(architecture: string, cpuInfo: string | null): Finding {
  const flags = /^(?:flags|Features)\s*:(.*)$/m
    .exec(cpuInfo ?? '')?.[1]
    ?.trim()
    .split(/\s+/);
  if (flags === undefined) return ok('processor', `${architecture}; what else it can do is not told here`);
  const has = (...names: readonly string[]) => names.filter((name) => flags.includes(name));
  const fast = architecture === 'x64' ? has('avx512_vnni', 'avx_vnni') : has('asimddp', 'i8mm');
  if (fast.length > 0)
    return ok('processor', `${architecture} with ${fast.join(' and ')}: 8-bit products at full speed`);
  if (architecture === 'x64' && has('avx2').length === 0) {
    return advice(
      'processor',
      'x64 without AVX2: answers will be many times slower than on a processor of the last ten years',
      'Choose another kind of machine.',
    );
  }
  return advice(
    'processor',
    `${architecture} without ${architecture === 'x64' ? 'VNNI' : 'dot products'}: int8 versions work, at a lower speed`,
    architecture === 'x64'
      ? 'Where the provider lets you choose: Intel since Cascade Lake or AMD since Zen 4.'
      : 'Where the provider lets you choose: ARMv8.2 or newer, such as Graviton2.',
  );
}

/** `allowed`: whole threads that the processor limit can feed. `processors`: the limit itself, null where there is none. */
export function judgeThreads(configured: number | null, allowed: number, processors: number | null): Finding {
  const limit = processors === null ? `${allowed} processors` : `a limit of ${processors} processors`;
  if (configured !== null && configured > allowed) {
    return advice(
      'threads',
      `THREADS is ${configured} on ${limit}: threads that share a processor wait for each other at every step`,
      `Leave THREADS out, or set it to ${allowed}.`,
    );
  }
  if (processors !== null && processors < 1) {
    return advice(
      'threads',
      `a limit of ${processors} processors stops the engine for a part of every tenth of a second`,
      'Give the container one whole processor or more.',
    );
  }
  return ok('threads', `${configured ?? allowed} on ${limit}`);
}

/** Bytes. `available` is null where it cannot be read. */
export function judgeMemory(needed: number, available: number | null): Finding {
  const estimate = `about ${gibibytes(needed)} for the model and its caches`;
  if (available === null) return ok('memory', `${estimate}; what is free cannot be read here`);
  if (needed > available) {
    return problem(
      'memory',
      `${estimate}, and ${gibibytes(available)} are left`,
      'Give it more memory, lower SLOTS or CONTEXT_LENGTH, or convert the model with --precision int8 or int4.',
    );
  }
  if (2 * needed > available) {
    return advice(
      'memory',
      `${estimate}, and ${gibibytes(available)} are left: a promoted version is loaded beside the one that serves, which may not fit`,
      'Give it twice what one version takes, or set POLL_SECONDS=0 and restart to change versions.',
    );
  }
  return ok('memory', `${estimate}, and ${gibibytes(available)} are left`);
}

const LITTLE_DISK = 2 ** 30;

export function judgeDisk(folder: string, free: number): Finding {
  if (free >= LITTLE_DISK) return ok('disk', `${gibibytes(free)} free for ${folder}`);
  return advice(
    'disk',
    `${gibibytes(free)} free for ${folder}, where conversations, files and batches are kept`,
    'Make room, or point DATA_FOLDER to a larger disk.',
  );
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(bytes < 2 ** 30 ? 2 : 1)} GiB`;
}
