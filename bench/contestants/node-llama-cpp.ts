/**
 * node-llama-cpp on a GGUF file, at the settings its documentation gives for speed on a processor.
 */
import type { Token } from 'node-llama-cpp';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';
import { compete, stopwatch } from '../contestant.ts';

await compete(async ({ model: modelPath, threads, task }, onFirstToken) => {
  const started = performance.now();
  const llama = await getLlama({
    gpu: false,
    build: 'never',
    maxThreads: threads,
    logLevel: LlamaLogLevel.error,
    progressLogs: false,
  });
  const model = await llama.loadModel({ modelPath });
  const sequences = task.kind === 'batch' ? task.prompts.length : 1;
  const longest = Math.max(...task.prompts.map((prompt) => prompt.length)) + task.newTokens + 8;
  const context = await model.createContext({
    contextSize: Math.ceil(longest / 256) * 256,
    sequences,
    batchSize: 512,
    threads: { ideal: threads, min: threads },
    flashAttention: true,
  });
  const loadSeconds = (performance.now() - started) / 1000;

  async function generate(prompt: readonly number[], sequence: ReturnType<typeof context.getSequence>) {
    const watch = stopwatch(prompt.length);
    let made = 0;
    for await (const token of sequence.evaluate(prompt as Token[], { temperature: 0, yieldEogToken: true })) {
      watch.token(token);
      onFirstToken();
      if (++made === task.newTokens) break;
    }
    return watch.timing();
  }

  const begun = performance.now();
  if (task.kind === 'batch') {
    const slots = task.prompts.map(() => context.getSequence());
    const timings = await Promise.all(
      task.prompts.map((prompt, index) => {
        const slot = slots[index];
        if (!slot) throw new Error('no sequence left');
        return generate(prompt, slot);
      }),
    );
    return { loadSeconds, sequences: timings, totalSeconds: (performance.now() - begun) / 1000 };
  }
  const sequence = context.getSequence();
  const timings = [];
  for (const prompt of task.prompts) {
    await sequence.clearHistory();
    timings.push(await generate(prompt, sequence));
  }
  return { loadSeconds, sequences: timings, totalSeconds: (performance.now() - begun) / 1000 };
});
