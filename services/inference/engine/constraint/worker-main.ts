/**
 * The thread that follows grammars. It does one thing after the other and may be ended at any time; it knows no request and no clock.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { loadXGrammar } from './load-xgrammar.ts';
import type { TextMatcher } from './text-matcher.ts';
import { TextMatchers } from './text-matchers.ts';
import type { FromWorker, ToWorker, WorkerData } from './worker-protocol.ts';

const { tokens, mostHeapBytes } = workerData as WorkerData;
const library = loadXGrammar(mostHeapBytes);
const matchers = await TextMatchers.create(library, tokens);
const texts = new Map<number, TextMatcher>();

async function answer(message: ToWorker): Promise<FromWorker | undefined> {
  const { id } = message;
  if (message.type === 'open') {
    texts.set(id, await matchers.open(message.grammar));
    return { type: 'opened', heapBytes: library.heapBytes(), spent: spent() };
  }
  const text = texts.get(id);
  if (!text) throw new Error(`there is no text ${id}`);
  if (message.type === 'ask') {
    for (const token of message.accepted) await text.accept(token);
    return { type: 'masks', masks: await text.look(message.guesses), spent: spent() };
  }
  text.close();
  texts.delete(id);
  return undefined;
}

async function receive(message: ToWorker): Promise<void> {
  try {
    const made = await answer(message);
    if (made) post(made);
  } catch (error) {
    post({ type: 'broken', reason: library.whyBroken() ?? (error instanceof Error ? error.message : String(error)) });
  }
}

function spent(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function post(message: FromWorker): void {
  parentPort?.postMessage(message);
}

let last = Promise.resolve();
post({ type: 'ready', spent: spent() });
parentPort?.on('message', (message: ToWorker) => {
  last = last.then(() => receive(message));
});
