/**
 * What a kernel died of, from what can be seen of its death, and what to do about it. Pure: observations in, a failure out. Asked only
 * when the kernel has not said so itself.
 */
import type { FailureClass } from './kernel-protocol.ts';

export interface Failure {
  readonly class: FailureClass;
  /** For people: what happened, and what to do. */
  readonly message: string;
  readonly step: number | null;
  /** Which example of the data was at fault. */
  readonly example: number | null;
}

export interface ExitObservations {
  readonly code: number | null;
  readonly signal: string | null;
  /** Why this side ended it; undefined: it ended by itself. */
  readonly ended?: { readonly class: FailureClass; readonly why: string } | undefined;
  /** Of the control group, before the start and after the end. Undefined: not known. */
  readonly memoryKills: readonly [before: number | undefined, after: number | undefined];
  /** On the disk of the run. Undefined: not known. */
  readonly freeBytes: number | undefined;
  /** The last lines it printed. */
  readonly lines: readonly string[];
}

/** Less than any checkpoint takes. */
const FULL_BYTES = 4 * 2 ** 20;
const SHOWN_LINES = 12;

/** A shell reports a child's signal as 128 + its number. */
const SIGNALS: Readonly<Record<number, string>> = {
  132: 'SIGILL',
  134: 'SIGABRT',
  135: 'SIGBUS',
  136: 'SIGFPE',
  137: 'SIGKILL',
  139: 'SIGSEGV',
  143: 'SIGTERM',
};

/** What torchrun prints of each process that a signal ended, the one that died first last; it exits with 1 itself. */
const ENDED_BY_SIGNAL = /exitcode\s*: -\d+ \(pid: \d+\)\s+\((SIG\w+)\)/;

/** What a kernel prints when it dies, the most telling first. */
const PATTERNS: readonly { readonly pattern: RegExp; readonly class: FailureClass }[] = [
  { pattern: /no space left on device|Errno (28|122)\b|disk quota exceeded/i, class: 'disk_full' },
  {
    pattern: /OutOfMemoryError|out of memory|can't allocate memory|Cannot allocate memory|MemoryError|bad_alloc/,
    class: 'out_of_memory',
  },
  {
    pattern: /ModuleNotFoundError|No module named|cannot open shared object file|ImportError/,
    class: 'environment',
  },
  { pattern: /CUDA error|CUDA driver|cudaError|NCCL|no kernel image is available|CUBLAS_STATUS/, class: 'device' },
];

const ADVICE: Readonly<Partial<Record<FailureClass, string>>> = {
  out_of_memory:
    'Its memory ran out. Set training.micro_batch_size or data.max_length lower, or turn training.gradient_checkpointing on; the effective batch stays what training.batch_size says.',
  disk_full: 'The disk of the run is full. Free some space; the run then goes on from its last checkpoint.',
  device:
    'The accelerator failed. If it happens again, try training.device: cpu, and look at its driver and its temperature.',
  environment: 'Its Python environment is not whole. Run ./slipway setup trainer.',
  crashed: 'If it happens again at the same step, try training.compile: false and training.device: cpu.',
  stuck: 'If it happens again, try training.processes: 1.',
};

export function classifyExit(seen: ExitObservations): Failure {
  const signal = seen.signal ?? SIGNALS[seen.code ?? 0] ?? signalOfProcess(seen.lines);
  const how = describeEnd(seen, signal);
  const kind = classOf(seen, signal);
  const advice = ADVICE[kind];
  const shown = seen.lines.slice(-SHOWN_LINES);
  const message = [
    `${how}.${advice === undefined ? '' : ` ${advice}`}`,
    ...(shown.length > 0 ? ['It printed last:', ...shown] : []),
  ].join('\n');
  return { class: kind, message, step: null, example: null };
}

function signalOfProcess(lines: readonly string[]): string | null {
  return lines.flatMap((line) => ENDED_BY_SIGNAL.exec(line)?.[1] ?? []).at(-1) ?? null;
}

function classOf({ ended, memoryKills: [before, after], freeBytes, lines }: ExitObservations, signal: string | null) {
  if (ended !== undefined) return ended.class;
  const wasOutOfMemory = signal === 'SIGKILL' && before !== undefined && after !== undefined && after > before;
  if (wasOutOfMemory) return 'out_of_memory';
  const isFull = freeBytes !== undefined && freeBytes < FULL_BYTES;
  // Writing to a mapped file on a full disk ends in SIGBUS, without a word.
  if (isFull && signal === 'SIGBUS') return 'disk_full';
  const text = lines.join('\n');
  const told = PATTERNS.find(({ pattern }) => pattern.test(text));
  if (told !== undefined) return told.class;
  if (isFull) return 'disk_full';
  return signal === null ? 'internal' : 'crashed';
}

function describeEnd({ ended, code, memoryKills: [before, after] }: ExitObservations, signal: string | null): string {
  if (ended !== undefined) return `the kernel was ended: ${ended.why}`;
  if (signal === null) return `the kernel exited with code ${code} and said no reason`;
  if (signal !== 'SIGKILL') return `the kernel was ended by ${signal}`;
  if (before === undefined || after === undefined)
    return 'the kernel was ended by SIGKILL, perhaps because memory ran out';
  return after > before ? 'the system ended the kernel for its memory' : 'somebody ended the kernel with SIGKILL';
}
