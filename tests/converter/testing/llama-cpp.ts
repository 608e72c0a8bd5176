/**
 * llama.cpp itself, by node-llama-cpp where the benchmarks have installed it: loads a GGUF file in a process of its own and tells what
 * it makes of tokens and text. Nothing here installs anything.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ENTRY = path.join(import.meta.dirname, '../../../bench/node_modules/node-llama-cpp/dist/index.js');

/** Empty, or why tests with llama.cpp are skipped. */
export const llamaCppMissing = existsSync(ENTRY)
  ? ''
  : ' (skipped: node-llama-cpp is not installed; slipway bench installs it)';

export interface LlamaCppJob {
  readonly model: string;
  readonly prompts: readonly { readonly tokens: readonly number[]; readonly count: number }[];
  readonly texts: readonly string[];
}

export interface LlamaCppAnswer {
  /** Of each prompt. */
  readonly greedy: readonly number[][];
  /** Of each text. */
  readonly encoded: readonly number[][];
}

/** One thread: on a busy machine its threads wait for each other. */
const SCRIPT = `
  process.execArgv.length = 0; // It tries its library in a fork, which would run this script.
  const [entry, jobs] = process.argv.slice(1);
  const { getLlama, LlamaLogLevel } = await import(entry);
  const llama = await getLlama({ gpu: false, build: 'never', maxThreads: 1, logLevel: LlamaLogLevel.error, progressLogs: false });
  const told = [];
  for (const { model: modelPath, prompts, texts } of JSON.parse(jobs)) {
    const model = await llama.loadModel({ modelPath });
    const context = await model.createContext({ contextSize: 256, sequences: 1, threads: 1 });
    const sequence = context.getSequence();
    const greedy = [];
    for (const { tokens, count } of prompts) {
      await sequence.clearHistory();
      const made = [];
      for await (const token of sequence.evaluate(tokens, { temperature: 0, yieldEogToken: true })) {
        if (made.push(token) === count) break;
      }
      greedy.push(made);
    }
    told.push({ greedy, encoded: texts.map((text) => model.tokenize(text, false)) });
    await context.dispose();
    await model.dispose();
  }
  process.stdout.write(JSON.stringify(told), () => process.exit(0));
`;

/** Greedy continuations and token ids, job by job. */
export async function askLlamaCpp(jobs: readonly LlamaCppJob[]): Promise<LlamaCppAnswer[]> {
  const args = ['--input-type=module', '-e', SCRIPT, pathToFileURL(ENTRY).href, JSON.stringify(jobs)];
  const { stdout } = await run(process.execPath, args, { maxBuffer: 64 << 20 });
  return JSON.parse(stdout);
}
