/**
 * One kernel: a child process that does one job and ends. Owns its process group, its silence (a kernel that hangs is ended) and its one
 * outcome, whatever happens to it. Does not start it again, and knows nothing of what a job is.
 */
import { spawn } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { BoundedLines } from './bounded-lines.ts';
import { classifyExit, type Failure } from './classify-exit.ts';
import {
  type Ending,
  type FailureClass,
  type Hello,
  isEnding,
  type KernelEvent,
  LONGEST_LINE_BYTES,
  type ParentMessage,
  PROTOCOL_VERSION,
  parseKernelLine,
} from './kernel-protocol.ts';
import { readMemoryKills } from './memory-kills.ts';

/** Milliseconds. */
export interface KernelLimits {
  /** From the start to its first word: an interpreter on a busy machine. */
  readonly hello: number;
  /** Without any word. */
  readonly heartbeat: number;
  /** With nothing but heartbeats. */
  readonly progress: number;
  /** From the wish that it stops to SIGTERM: the current step, and for a pause its checkpoint. */
  readonly stop: number;
  /** From SIGTERM, or from its last word, to SIGKILL. */
  readonly leave: number;
}

const LIMITS: KernelLimits = {
  hello: 120_000,
  heartbeat: 60_000,
  progress: 15 * 60_000,
  stop: 120_000,
  leave: 10_000,
};

export interface KernelOptions {
  /** A program and its arguments: `[python, '-m', 'slipway_kernel']`. */
  readonly command: readonly [string, ...string[]];
  readonly environment?: NodeJS.ProcessEnv;
  readonly onHello?: (hello: Hello) => void;
  readonly onEvent?: (event: KernelEvent) => void;
  /** One line that it or its libraries printed. */
  readonly onLine?: (line: string) => void;
  readonly limits?: Partial<KernelLimits>;
}

export type KernelOutcome =
  | { readonly kind: 'done'; readonly result: Readonly<Record<string, unknown>> }
  | { readonly kind: 'stopped'; readonly reason: 'paused' | 'cancelled'; readonly checkpoint: string | null }
  | { readonly kind: 'failed'; readonly failure: Failure };

export interface KernelProcess {
  /** -1: it could not be started. */
  readonly pid: number;
  /** Gives it its one job, an absolute path; until then it waits. The disk of that folder is the one that can be full. */
  begin(jobFile: string): void;
  /** Between two steps it writes a checkpoint and ends. */
  pause(): void;
  /** Between two steps it ends. */
  cancel(): void;
  /** At once. The outcome says `why`. */
  kill(why: string): void;
  /** Resolves when the process and all it started are gone; never rejects. */
  readonly outcome: Promise<KernelOutcome>;
}

const KEPT_LINES = 40;
const LONGEST_PRINTED_BYTES = 2000;
const WATCH_MILLISECONDS = 250;

export function startKernel(options: KernelOptions): KernelProcess {
  const limits = { ...LIMITS, ...options.limits };
  const [program, ...args] = options.command;
  const killsBefore = readMemoryKills();
  const child = spawn(program, args, {
    // A process group of its own: what it starts ends with it, and a Ctrl-C is for this side alone.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: options.environment ?? process.env,
  });
  const lines: string[] = [];
  let hello: Hello | undefined;
  let jobFile: string | undefined;
  let ending: Ending | undefined;
  /** Why this side ends it. */
  let ended: { class: FailureClass; why: string } | undefined;
  let wish: 'paused' | 'cancelled' | undefined;
  let heardAt = performance.now();
  let progressedAt = heardAt;
  const timers = new Set<NodeJS.Timeout>();

  function signal(name: NodeJS.Signals): void {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, name);
    } catch (error) {
      // The group is empty: all have ended.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }

  function end(kind: FailureClass, why: string): void {
    ended ??= { class: kind, why };
    signal('SIGKILL');
  }

  function after(milliseconds: number, act: () => void): void {
    const timer = setTimeout(act, milliseconds);
    timers.add(timer);
  }

  function post(message: ParentMessage): void {
    child.stdin.write(`${JSON.stringify(message)}\n`);
  }

  function stop(reason: 'paused' | 'cancelled'): void {
    const wasAsked = wish !== undefined;
    wish = reason;
    post({ type: reason === 'paused' ? 'pause' : 'cancel' });
    if (wasAsked) return;
    after(limits.stop, () => {
      signal('SIGTERM');
      after(limits.leave, () => signal('SIGKILL'));
    });
  }

  function receive(text: string, isWhole: boolean): void {
    heardAt = performance.now();
    // Whatever a kernel says after its last word is not heard.
    if (ending !== undefined || ended !== undefined) return;
    const message = isWhole
      ? parseKernelLine(text)
      : { type: 'fault' as const, what: `a message of more than ${LONGEST_LINE_BYTES} bytes` };
    if (message.type === 'fault') {
      end('protocol', `it wrote ${message.what}: ${text.slice(0, 200)}`);
    } else if (message.type === 'hello') {
      if (hello !== undefined) end('protocol', 'it said hello twice');
      else if (message.protocol !== PROTOCOL_VERSION) {
        end(
          'protocol',
          `it speaks protocol ${message.protocol}, this program ${PROTOCOL_VERSION}; run ./slipway setup trainer`,
        );
      } else {
        hello = message;
        options.onHello?.(message);
        if (jobFile !== undefined) post({ type: 'job', path: jobFile });
      }
    } else if (hello === undefined) {
      end('protocol', `its first word was ${message.type} instead of hello`);
    } else if (isEnding(message)) {
      ending = message;
      child.stdin.end();
      after(limits.leave, () => signal('SIGKILL'));
    } else if (message.type !== 'heartbeat') {
      if (message.type !== 'log') progressedAt = heardAt;
      options.onEvent?.(message);
    }
  }

  const messages = new BoundedLines(LONGEST_LINE_BYTES);
  child.stdout.on('data', (chunk: Buffer) => {
    for (const { text, whole } of messages.push(chunk)) receive(text, whole);
  });
  const printed = new BoundedLines(LONGEST_PRINTED_BYTES);
  const print = (line: string) => {
    if (line.trim() === '') return;
    if (lines.push(line) > KEPT_LINES) lines.shift();
    options.onLine?.(line);
  };
  child.stderr.on('data', (chunk: Buffer) => {
    for (const { text } of printed.push(chunk)) print(text);
  });
  child.stderr.on('end', () => print(printed.rest()));
  // A kernel that is gone takes no message; its end is told by `close`.
  child.stdin.on('error', () => {});

  const startedAt = performance.now();
  let watchedAt = startedAt;
  const watch = setInterval(() => {
    const now = performance.now();
    const wasAway = now - watchedAt > 4 * WATCH_MILLISECONDS;
    watchedAt = now;
    // This process was held up itself: what the kernel said meanwhile has not been read yet.
    if (wasAway || ending !== undefined) return;
    if (hello === undefined && now - startedAt > limits.hello) {
      end('stuck', `it said nothing for ${inWords(limits.hello)} after its start`);
    } else if (hello !== undefined && now - heardAt > limits.heartbeat) {
      end('stuck', `it gave no sign of life for ${inWords(limits.heartbeat)}`);
    } else if (jobFile !== undefined && wish === undefined && now - progressedAt > limits.progress) {
      end('stuck', `it lived, but got no further for ${inWords(limits.progress)}`);
    }
  }, WATCH_MILLISECONDS);

  const outcome = new Promise<KernelOutcome>((resolve) => {
    child.once('error', (error) => {
      if (child.pid === undefined) resolve(failed({ class: 'environment', message: cannotStart(program, error) }));
    });
    // What it has started may hold its pipes open; without it they close.
    child.once('exit', () => signal('SIGKILL'));
    child.once('close', (code, signalName) => {
      if (ending !== undefined) resolve(outcomeOf(ending));
      else if (ended === undefined && wish !== undefined) {
        // It did not stop by itself, or died on the way: what was asked for has come true.
        resolve({ kind: 'stopped', reason: wish, checkpoint: null });
      } else {
        const memoryKills = [killsBefore, readMemoryKills()] as const;
        const freeBytes = jobFile === undefined ? undefined : freeBytesAt(dirname(jobFile));
        resolve({
          kind: 'failed',
          failure: classifyExit({ code, signal: signalName, ended, memoryKills, freeBytes, lines }),
        });
      }
    });
  }).finally(() => {
    clearInterval(watch);
    for (const timer of timers) clearTimeout(timer);
  });

  return {
    pid: child.pid ?? -1,
    begin: (path) => {
      jobFile = path;
      progressedAt = performance.now();
      if (hello !== undefined) post({ type: 'job', path });
    },
    pause: () => stop('paused'),
    cancel: () => stop('cancelled'),
    kill: (why) => end('crashed', why),
    outcome,
  };
}

function outcomeOf(ending: Ending): KernelOutcome {
  switch (ending.type) {
    case 'done':
      return { kind: 'done', result: ending.result };
    case 'stopped':
      return { kind: 'stopped', reason: ending.reason, checkpoint: ending.checkpoint };
    case 'failed': {
      const { message, step, example } = ending;
      return failed({ class: ending.class, message, step, example });
    }
  }
}

function failed({
  step = null,
  example = null,
  ...rest
}: Partial<Failure> & Pick<Failure, 'class' | 'message'>): KernelOutcome {
  return { kind: 'failed', failure: { ...rest, step, example } };
}

function cannotStart(program: string, error: Error): string {
  return `the kernel could not be started with ${program}: ${error.message}. Run ./slipway setup trainer.`;
}

/** Undefined where the folder is gone, or its disk cannot be asked. */
function freeBytesAt(folder: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

function inWords(milliseconds: number): string {
  return milliseconds < 120_000 ? `${milliseconds / 1000} seconds` : `${milliseconds / 60_000} minutes`;
}
