/**
 * The child's side: one engine behind the IPC channel. Everything it has to say goes through the channel; stdout and stderr are
 * for people. It lives as long as the channel and ignores the terminal's signals, so that a draining service can finish.
 */
import { writeFileSync } from 'node:fs';
import { exit } from 'node:process';
import type { Layout } from '../runtime/layout.ts';
import type { LayoutSpec } from '../runtime/open-layout.ts';
import type { Engine, EngineEvent, TokenTable } from './contract.ts';
import { createEngine } from './loop.ts';
import {
  type ChildMessage,
  type OpenMessage,
  type ParentMessage,
  PROTOCOL_VERSION,
  parseParentMessage,
  refusalOf,
  type SentRequest,
} from './protocol.ts';

/** When memory runs out the kernel should take the model, not the service. */
function offerToOutOfMemoryKiller(): void {
  if (process.platform !== 'linux') return;
  try {
    writeFileSync('/proc/self/oom_score_adj', '500');
  } catch {
    // Not allowed here: the kernel chooses as it likes.
  }
}

/** Sends, and calls back when it has left this process. */
function send(message: ChildMessage, sent?: () => void): void {
  // Errors mean that the parent is gone, which `disconnect` tells as well.
  process.send?.(message, undefined, {}, () => sent?.());
}

/** Serves the parent until it closes or leaves. */
export function serveEngine(openLayout: (spec: LayoutSpec) => Promise<Layout>): void {
  let engine: Engine | undefined;
  let tokens: TokenTable | undefined;
  let outbox: [string, EngineEvent][] = [];

  function flush(sent?: () => void): void {
    if (!engine || outbox.length === 0) {
      sent?.();
      return;
    }
    const events = outbox;
    outbox = [];
    send({ type: 'events', events, stats: engine.stats() }, sent);
  }

  /** The events of a step come in one go, so that one message carries them all. */
  function post(id: string, event: EngineEvent): void {
    if (outbox.push([id, event]) === 1) queueMicrotask(flush);
  }

  async function open({ spec, limits, speculate }: OpenMessage): Promise<void> {
    try {
      const onBroken = (reason: string) => {
        process.stderr.write(`the model is broken: ${reason}\n`);
        flush(() => exit(1));
      };
      engine = createEngine(await openLayout(spec), { limits, speculate, onBroken });
      send({ type: 'hello', protocol: PROTOCOL_VERSION, info: engine.info });
    } catch (error) {
      if (!(error instanceof Error && error.name === 'AppError')) process.stderr.write(`${error}\n`);
      send(refusalOf(error), () => exit(1));
    }
  }

  async function close(): Promise<void> {
    await engine?.close();
    flush(() => exit(0));
  }

  function receive(message: ParentMessage): void {
    if (message.type === 'close') void close();
    else if (message.type === 'open') void open(message);
    else if (message.type === 'cancel') engine?.cancel(message.id);
    else if (message.type === 'tokens') tokens = message.table;
    else submit(message.request);
  }

  function submit({ constraint, ...request }: SentRequest): void {
    if (constraint && !tokens) throw new Error('the engine process got a constraint before the table of tokens');
    const whole = constraint && tokens ? { ...request, constraint: { ...constraint, tokens } } : request;
    engine?.submit(whole, (event) => post(request.id, event));
  }

  offerToOutOfMemoryKiller();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  process.on('disconnect', () => exit(0));
  process.on('message', (value) => {
    const message = parseParentMessage(value);
    // Its content may be a prompt, which does not belong in a log.
    if (!message) throw new Error('the engine process got a message it does not know');
    receive(message);
  });
}
