/**
 * Slipway as its users meet it: `slipway serve` in a process of its own and streaming clients over HTTP.
 */
import { compete, type SequenceTiming } from '../contestant.ts';
import { startHttpService, streamGenerate } from '../http-service.ts';

await compete(async ({ model, threads, task }, onFirstToken) => {
  const started = performance.now();
  const longest = Math.max(...task.prompts.map((prompt) => prompt.length)) + task.newTokens;
  const requests = task.kind === 'batch' ? task.prompts.length : 1;
  const service = await startHttpService(model, { threads, requests, contextLength: longest });
  const loadSeconds = (performance.now() - started) / 1000;
  const begun = performance.now();
  const run = (prompt: readonly number[]) =>
    streamGenerate(service.url, prompt, task.newTokens, { onToken: onFirstToken });
  const sequences: SequenceTiming[] = [];
  if (task.kind === 'batch') sequences.push(...(await Promise.all(task.prompts.map(run))));
  else for (const prompt of task.prompts) sequences.push(await run(prompt));
  return { loadSeconds, sequences, totalSeconds: (performance.now() - begun) / 1000, close: service.stop };
});
