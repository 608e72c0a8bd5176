/**
 * Slipway's engine behind its own door, without HTTP: token ids in, token ids out.
 */
import { type Engine, type LayoutSpec, startEngine } from '@slipway/inference/engine';
import { steadyNow } from '@slipway/shared/lib/steady-now.ts';
import { compete, type SequenceTiming, stopwatch } from '../contestant.ts';
import { openVersion } from '../version.ts';

let submitted = 0;

await compete(async ({ model, threads, task, withoutGuesses = false }, onFirstToken) => {
  const started = performance.now();
  const { manifest, folder } = await openVersion(model);
  const longest = Math.max(...task.prompts.map((prompt) => prompt.length)) + task.newTokens;
  const spec: LayoutSpec = {
    kind: 'graph',
    folder,
    graph: manifest.graphs.serving,
    threads,
    slots: task.kind === 'batch' ? task.prompts.length : 1,
    contextLength: Math.min(manifest.graphs.serving.context_length, longest),
  };
  const engine = await startEngine(spec, { speculate: !withoutGuesses });
  const loadSeconds = (performance.now() - started) / 1000;
  const begun = performance.now();
  const run = (prompt: readonly number[]) => generate(engine, prompt, task.newTokens, onFirstToken);
  const sequences: SequenceTiming[] = [];
  if (task.kind === 'batch') sequences.push(...(await Promise.all(task.prompts.map(run))));
  else for (const prompt of task.prompts) sequences.push(await run(prompt));
  return { loadSeconds, sequences, totalSeconds: (performance.now() - begun) / 1000 };
});

function generate(
  engine: Engine,
  prompt: readonly number[],
  maxNewTokens: number,
  onFirstToken: () => void,
): Promise<SequenceTiming> {
  const watch = stopwatch(prompt.length);
  return new Promise((resolve, reject) => {
    engine.submit(
      {
        id: `sequence-${submitted++}`,
        prompt,
        maxNewTokens,
        eosTokenIds: [],
        sampling: { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0 },
        deadline: steadyNow() + 600_000,
      },
      (event) => {
        if (event.type === 'token') {
          watch.token(event.token);
          onFirstToken();
        } else if (event.type === 'finished') {
          if (event.reason === 'length') resolve(watch.timing());
          else reject(new Error(`the sequence ended with ${event.reason}: ${event.error ?? ''}`));
        }
      },
    );
  });
}
