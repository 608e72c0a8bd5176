/**
 * An engine in a child process, as its parent sees it: the same Engine, plus its death. Whatever happens to the child, every
 * sequence gets its one terminal event. Does not start it again: that is the supervisor's.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { steadyNow } from '@slipway/shared/lib/steady-now.ts';
import type { LayoutSpec } from '../runtime/open-layout.ts';
import type { Engine, EngineEvent, EngineInfo, EngineStats, SequenceRequest, TokenTable } from './contract.ts';
import type { PlanLimits } from './plan.ts';
import { type ParentMessage, PROTOCOL_VERSION, parseChildMessage } from './protocol.ts';
import { IDLE_STATS } from './step-counts.ts';

export interface StartOptions {
  /** Another program instead of child-main.ts: for tests. */
  readonly program?: URL;
  /** Milliseconds until the model must be open. */
  readonly openTimeout?: number;
  /** Milliseconds after a sequence's deadline without its end, from which on the child counts as hung. */
  readonly hangGrace?: number;
  /** Milliseconds it gets to close before it is killed. */
  readonly closeTimeout?: number;
  /** One line that the child printed. */
  readonly onLine?: (line: string) => void;
  readonly limits?: Partial<PlanLimits>;
  /** As EngineOptions have it. */
  readonly speculate?: boolean;
  /** Gives up the start. */
  readonly signal?: AbortSignal;
}

export interface EngineProcess extends Engine {
  readonly pid: number;
  /** Calls back once when the process has ended, with the reason; also after `close`, and when it has ended already. */
  onExit(listener: (reason: string) => void): void;
}

interface Pending {
  readonly deadline: number;
  readonly onEvent: (event: EngineEvent) => void;
}

const KEPT_LINES = 12;
const LONGEST_LINE = 500;

/** Hands over what the child prints line by line and keeps the last lines, which say why it died. */
function watchOutput(child: ChildProcess, onLine: ((line: string) => void) | undefined): readonly string[] {
  const kept: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    const take = (line: string) => {
      if (line === '') return;
      if (kept.push(line.slice(0, LONGEST_LINE)) > KEPT_LINES) kept.shift();
      onLine?.(line);
    };
    stream?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > LONGEST_LINE) lines.push(rest.slice(0, LONGEST_LINE));
      if (rest.length > LONGEST_LINE) rest = '';
      for (const line of lines) take(line);
    });
    stream?.on('end', () => take(rest));
  }
  return kept;
}

function describeExit(code: number | null, signal: string | null, lines: readonly string[]): string {
  const how = signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
  const memory = signal === 'SIGKILL' ? ' (perhaps because memory ran out)' : '';
  return `the engine process ${how}${memory}${lines.length > 0 ? `; it printed last:\n${lines.join('\n')}` : ''}`;
}

/**
 * The cache of compiled modules, which saves a tenth of a second or two; and no secret: native code has no use for one. glibc is told
 * to give large blocks back: left to itself it stops doing so at the first one freed, and loading a model frees many.
 */
function childEnvironment(): NodeJS.ProcessEnv {
  const { API_KEY: _key, HF_TOKEN: _token, HF_TOKEN_READ: _readToken, ...environment } = process.env;
  const { directory } = enableCompileCache();
  return {
    MALLOC_MMAP_THRESHOLD_: '131072',
    ...environment,
    ...(directory === undefined ? {} : { NODE_COMPILE_CACHE: directory }),
  };
}

/**
 * Starts a child and opens `spec` in it. Rejects with an AppError: the layout's own when it refused the model, `engine_failed`
 * when the process died, spoke another protocol or did not open the model in time.
 */
export async function startEngine(spec: LayoutSpec, options: StartOptions = {}): Promise<EngineProcess> {
  if (options.signal?.aborted) throw new AppError('engine_failed', 'the start of the engine was given up');
  const program = fileURLToPath(options.program ?? new URL('./child-main.ts', import.meta.url));
  const child = fork(program, [], {
    serialization: 'advanced',
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: childEnvironment(),
  });
  const lines = watchOutput(child, options.onLine);
  const pending = new Map<string, Pending>();
  let stats: EngineStats = IDLE_STATS;
  let sentTokens: TokenTable | undefined;
  /** Why this side ends it, or why it has ended. */
  let reason: string | undefined;

  function post(message: ParentMessage): void {
    // An error here means that the child is gone; its end is told once, by `close`.
    if (child.connected) child.send(message, undefined, {}, () => {});
  }

  function postRequest({ constraint, ...request }: SequenceRequest): void {
    if (!constraint) {
      post({ type: 'submit', request });
      return;
    }
    const { tokens, ...rest } = constraint;
    if (tokens !== sentTokens) post({ type: 'tokens', table: tokens });
    sentTokens = tokens;
    post({ type: 'submit', request: { ...request, constraint: rest } });
  }

  function kill(why: string): void {
    reason ??= why;
    child.kill('SIGKILL');
  }

  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`the engine process could not be started: ${error.message}`));
    // Unlike `exit` it comes after the last message and the last line.
    child.once('close', (code, signal) => resolve(describeExit(code, signal, lines)));
  }).then((how) => {
    reason ??= how;
    const failed = [...pending.values()];
    pending.clear();
    for (const { onEvent } of failed) onEvent({ type: 'finished', reason: 'failed', error: reason });
    return reason;
  });

  const watchdog = setInterval(() => {
    const earliest = Math.min(...Array.from(pending.values(), (sequence) => sequence.deadline));
    const grace = options.hangGrace ?? 10_000;
    if (steadyNow() > earliest + grace)
      kill(`the engine process did not answer for ${grace} ms after a deadline and was ended`);
  }, 1000);
  watchdog.unref();
  void exited.then(() => clearInterval(watchdog));

  function receiveEvents(events: readonly (readonly [string, EngineEvent])[]): void {
    for (const [id, event] of events) {
      const sequence = pending.get(id);
      if (event.type === 'finished') pending.delete(id);
      sequence?.onEvent(event);
    }
  }

  async function close(): Promise<void> {
    reason ??= 'the engine was closed';
    post({ type: 'close' });
    const timer = setTimeout(() => child.kill('SIGKILL'), options.closeTimeout ?? 5000);
    await exited;
    clearTimeout(timer);
  }

  const info = await new Promise<EngineInfo>((resolve, reject) => {
    const refuse = (error: AppError) => {
      reject(error);
      kill(error.message);
    };
    const timeout = options.openTimeout ?? 120_000;
    const timer = setTimeout(() => {
      refuse(new AppError('engine_failed', `the engine process did not open the model within ${timeout} ms`));
    }, timeout);
    const abort = () => refuse(new AppError('engine_failed', 'the start of the engine was given up'));
    options.signal?.addEventListener('abort', abort, { once: true });
    const settle = () => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
    };

    let isOpen = false;
    child.on('message', (value) => {
      const message = parseChildMessage(value);
      if (message?.type === 'events' && isOpen) {
        stats = message.stats;
        receiveEvents(message.events);
      } else if (message?.type === 'refused' && !isOpen) {
        settle();
        refuse(new AppError(message.code ?? 'engine_failed', message.message));
      } else if (message?.type === 'hello' && !isOpen) {
        settle();
        if (message.protocol === PROTOCOL_VERSION) {
          isOpen = true;
          resolve(message.info);
        } else {
          const text = `the engine process speaks protocol ${message.protocol}, this service ${PROTOCOL_VERSION}; restart the service`;
          refuse(new AppError('engine_failed', text));
        }
      } else {
        settle();
        refuse(new AppError('engine_failed', 'the engine process sent a message that the protocol does not know here'));
      }
    });
    void exited.then((why) => {
      settle();
      reject(new AppError('engine_failed', why));
    });
    const { limits = {}, speculate = true } = options;
    post({ type: 'open', protocol: PROTOCOL_VERSION, spec, limits, speculate });
  });

  return {
    info,
    pid: child.pid ?? -1,
    onExit: (listener) => void exited.then(listener),

    submit(request: SequenceRequest, onEvent) {
      const fault =
        reason ?? (pending.has(request.id) ? `a sequence with the id ${request.id} is already pending` : undefined);
      if (fault !== undefined) {
        onEvent({ type: 'finished', reason: 'failed', error: fault });
        return;
      }
      pending.set(request.id, { deadline: request.deadline, onEvent });
      postRequest(request);
    },

    cancel(id) {
      if (pending.has(id)) post({ type: 'cancel', id });
    },

    stats() {
      const running = Math.min(stats.running, pending.size);
      return {
        ...stats,
        running,
        waiting: pending.size - running,
        cacheUsage: pending.size === 0 ? 0 : stats.cacheUsage,
      };
    },

    close,
  };
}
