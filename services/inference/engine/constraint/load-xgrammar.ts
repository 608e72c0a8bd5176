/**
 * Loads the grammar library into this thread, with a bound on the memory it may take and a record of why it gave up. Its package holds
 * one CommonJS file but calls itself an ES module, so that `import` finds nothing in it: it is compiled here as what it is.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { compileFunction } from 'node:vm';
import type * as XGrammar from '@mlc-ai/web-xgrammar';

export interface GrammarLibrary
  extends Pick<typeof XGrammar, 'Grammar' | 'GrammarCompiler' | 'GrammarMatcher' | 'TokenizerInfo'> {
  /** What it has taken so far, in bytes; it gives nothing back. */
  heapBytes(): number;
  /** Why it gave up, when it has. */
  whyBroken(): string | undefined;
}

/** A page of WebAssembly memory. */
const PAGE = 65_536;

interface GrowingMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** Node's types leave it out. */
const { Memory } = Reflect.get(globalThis, 'WebAssembly') as { readonly Memory: { readonly prototype: GrowingMemory } };

/** For the whole thread, which should load nothing else. */
export function loadXGrammar(mostBytes: number): GrammarLibrary {
  const path = fileURLToPath(import.meta.resolve('@mlc-ai/web-xgrammar'));
  let why: string | undefined;
  const listen = (line: unknown) => {
    why ??= /^\[FATAL\] \S+ (.*)/s.exec(String(line))?.[1];
  };
  const heapBytes = boundMemory(mostBytes, (tooMuch) => {
    why ??= tooMuch;
  });
  const module = { exports: {} };
  // Without `process` it takes the thread for a browser: the other way it would `import()`, which code compiled like this cannot.
  const names = ['exports', 'module', 'require', '__filename', 'process', 'console'];
  const define = compileFunction(readFileSync(path, 'utf8'), names, { filename: path });
  define(module.exports, module, createRequire(path), path, undefined, { log: listen, error: listen });
  // What the package's own declarations say it exports.
  return { ...(module.exports as typeof XGrammar), heapBytes, whyBroken: () => why };
}

/** Growing further fails, which the library takes for an end of memory. Returns what tells the size of the memory that has grown. */
function boundMemory(mostBytes: number, onTooMuch: (why: string) => void): () => number {
  const { grow } = Memory.prototype;
  let memory: GrowingMemory | undefined;
  Memory.prototype.grow = function growBounded(this: GrowingMemory, pages) {
    memory = this;
    if (this.buffer.byteLength + pages * PAGE > mostBytes) {
      onTooMuch(`it takes more than ${mostBytes >> 20} MiB of memory`);
      throw new RangeError('the memory is bounded');
    }
    return grow.call(this, pages);
  };
  return () => memory?.buffer.byteLength ?? 0;
}
