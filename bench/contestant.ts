/**
 * The words between the benchmark and its contestants, and the start of a contestant: a process of its own, one task, one JSON
 * answer on its last line of stdout. Knows no contestant.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

export type Task =
  /** After each prompt, alone: greedy tokens up to `newTokens`, end-of-text ignored. */
  | { readonly kind: 'single'; readonly prompts: readonly (readonly number[])[]; readonly newTokens: number }
  /** All prompts at once. */
  | { readonly kind: 'batch'; readonly prompts: readonly (readonly number[])[]; readonly newTokens: number };

export interface Assignment {
  /** A file or folder, as the contestant understands it. */
  readonly model: string;
  readonly threads: number;
  readonly task: Task;
  /** Ours: without guessing tokens ahead. */
  readonly withoutGuesses?: boolean;
}

/** Seconds are wall time. `prompt` is the time to the first token, `decode` from the first token to the last. */
export interface SequenceTiming {
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly promptSeconds: number;
  readonly decodeSeconds: number;
  /** Sum of the token ids: tells runs of the same model apart that did not compute the same. */
  readonly checksum: number;
}

export interface Answer {
  readonly loadSeconds: number;
  readonly sequences: readonly SequenceTiming[];
  /** `batch`: from the first submission to the last token. */
  readonly totalSeconds: number;
}

export interface Performance extends Answer {
  /** From the start of the process to its first token, as seen from outside. */
  readonly firstTokenSeconds: number;
  /** Sum of the highest resident sizes of the process and its children. */
  readonly peakRssMib: number;
}

/** Called by the contestant's program: runs the one task it was started with; `close` ends what it has started. */
export async function compete(
  run: (assignment: Assignment, onFirstToken: () => void) => Promise<Answer & { close?: () => Promise<void> }>,
): Promise<void> {
  const assignment: Assignment = JSON.parse(process.argv[2] ?? '{}');
  let told = false;
  const { close, ...answer } = await run(assignment, () => {
    if (!told) process.stdout.write('\nfirst-token\n');
    told = true;
  });
  process.stdout.write(`\n${JSON.stringify(answer)}\n`);
  // The peaks of memory are read from outside while the processes still exist.
  await new Promise((resolve) => process.stdin.once('end', resolve).resume());
  await close?.();
  process.exit(0);
}

/** `file` is relative to contestants/. Rejects with what the contestant wrote to stderr when it fails. */
export async function start(file: string, assignment: Assignment, timeoutSeconds = 600): Promise<Performance> {
  const program = join(import.meta.dirname, 'contestants', file);
  const started = performance.now();
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', program, JSON.stringify(assignment)],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NODE_ENV: 'production' },
    },
  );
  let output = '';
  let errors = '';
  let firstTokenSeconds = Number.NaN;
  let answer: Answer | undefined;
  let peakRssMib = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    const lines = output.split('\n');
    output = lines.pop() ?? '';
    for (const line of lines) {
      if (line === 'first-token') firstTokenSeconds = (performance.now() - started) / 1000;
      else if (line.startsWith('{')) {
        answer = JSON.parse(line);
        peakRssMib = peakRssOf(child.pid ?? 0);
        child.stdin.end();
      }
    }
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4000);
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutSeconds * 1000);
  const exitCode = await new Promise<number | null>((settle, fail) => {
    child.once('error', fail);
    child.once('close', settle);
  });
  clearTimeout(timer);
  if (!answer || exitCode !== 0) throw new Error(`${file} ended with ${exitCode}:\n${errors}`);
  return { ...answer, firstTokenSeconds, peakRssMib };
}

/** MiB of a process and its children at most; what they share of their program's file counts once. Linux only, 0 elsewhere. */
function peakRssOf(pid: number, ofProgram = 0): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    let kib = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) - ofProgram;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const children = readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8');
      for (const childId of children.split(' ').filter(Boolean)) {
        kib += peakRssOf(Number(childId), programKib(Number(childId), programOf(pid))) * 1024;
      }
    }
    return kib / 1024;
  } catch {
    return 0;
  }
}

const programOf = (pid: number) => readlinkSync(`/proc/${pid}/exe`);

/** KiB resident of a process's mapping of the file `program`. */
function programKib(pid: number, program: string): number {
  let kib = 0;
  let isProgram = false;
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isProgram = line.endsWith(program);
    // Pages it wrote to are its own.
    else if (isProgram && line.startsWith('Rss:')) kib += Number(/\d+/.exec(line)?.[0] ?? 0);
    else if (isProgram && line.startsWith('Private_Dirty:')) kib -= Number(/\d+/.exec(line)?.[0] ?? 0);
  }
  return kib;
}

/** Collects one sequence's timing: call `token` for each new token. */
export function stopwatch(promptTokens: number): { token(id: number): void; timing(): SequenceTiming } {
  const started = performance.now();
  let first = 0;
  let last = 0;
  let newTokens = 0;
  let checksum = 0;
  return {
    token(id) {
      last = performance.now();
      if (newTokens === 0) first = last;
      newTokens++;
      checksum += id;
    },
    timing: () => ({
      promptTokens,
      newTokens,
      promptSeconds: (first - started) / 1000,
      decodeSeconds: (last - first) / 1000,
      checksum,
    }),
  };
}
