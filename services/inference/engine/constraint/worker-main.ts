/**
 * The thread that follows grammars: compiled ones, kept for the next text of the same form, and a matcher for each text. It does one thing
 * after the other and may be ended at any time; it knows no request and no clock.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { CompiledGrammar } from '@mlc-ai/web-xgrammar';
import { LimitedStrings, type MeasuredTokens, measureTokens } from './limited-strings.ts';
import { loadXGrammar } from './load-xgrammar.ts';
import { MOST_LIMITS, markBefore, markInside } from './marks.ts';
import { TextMatcher } from './matcher.ts';
import { tokenBytes } from './token-table.ts';
import { type FromWorker, KEPT_GRAMMARS, type TextGrammar, type ToWorker, type WorkerData } from './worker-protocol.ts';

const { tokens, mostHeapBytes } = workerData as WorkerData;
const textTokens = tokens.ends.length;
const library = loadXGrammar(mostHeapBytes);
const compiler = await createCompiler();
const compiled = new Map<string, CompiledGrammar>();
const matchers = new Map<number, TextMatcher>();
let measured: MeasuredTokens | undefined;

async function createCompiler() {
  const marks = [markBefore, markInside].flatMap((mark) => Array.from({ length: MOST_LIMITS }, (_, i) => mark(i)));
  const vocabulary = Array.from({ length: textTokens }, (_, token) => tokenBytes(tokens, token));
  const end = new Uint8Array();
  const all = [...vocabulary, end, ...marks];
  // The library's own conversion takes arrays of bytes as well as strings.
  const pieces = all as unknown as string[];
  const info = await library.TokenizerInfo.createTokenizerInfo(pieces, 'raw', false, all.length, [textTokens]);
  return library.GrammarCompiler.createGrammarCompiler(info, false);
}

async function compile(ebnf: string): Promise<CompiledGrammar> {
  const known = compiled.get(ebnf);
  compiled.delete(ebnf);
  if (known) {
    compiled.set(ebnf, known);
    return known;
  }
  const grammar = await library.Grammar.fromEBNF(ebnf);
  const made = await compiler.compileGrammar(grammar);
  grammar.dispose();
  compiled.set(ebnf, made);
  for (const [oldest, grammarOfOldest] of compiled) {
    if (compiled.size <= KEPT_GRAMMARS) break;
    compiled.delete(oldest);
    grammarOfOldest.dispose();
  }
  return made;
}

async function open(id: number, { ebnf, limits }: TextGrammar): Promise<FromWorker> {
  const matcher = await library.GrammarMatcher.createGrammarMatcher(await compile(ebnf));
  if (limits.length > 0) measured ??= measureTokens(tokens);
  const counted = measured && limits.length > 0 ? new LimitedStrings(measured, limits) : undefined;
  matchers.set(id, new TextMatcher(matcher, counted, textTokens));
  return { type: 'opened', heapBytes: library.heapBytes() };
}

async function ask(id: number, accepted: readonly number[], guesses: readonly number[]): Promise<FromWorker> {
  const matcher = matchers.get(id);
  if (!matcher) throw new Error(`there is no text ${id}`);
  for (const token of accepted) await matcher.accept(token);
  return { type: 'masks', masks: await matcher.look(guesses) };
}

async function receive(message: ToWorker): Promise<void> {
  try {
    if (message.type === 'open') post(await open(message.id, message.grammar));
    else if (message.type === 'ask') post(await ask(message.id, message.accepted, message.guesses));
    else {
      matchers.get(message.id)?.close();
      matchers.delete(message.id);
    }
  } catch (error) {
    post({ type: 'broken', reason: library.whyBroken() ?? (error instanceof Error ? error.message : String(error)) });
  }
}

function post(message: FromWorker): void {
  parentPort?.postMessage(message);
}

let last = Promise.resolve();
post({ type: 'ready' });
parentPort?.on('message', (message: ToWorker) => {
  last = last.then(() => receive(message));
});
