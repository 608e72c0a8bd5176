/**
 * transformers.js on a version's standard graph: what a JavaScript program without us would run.
 */
import { basename, dirname } from 'node:path';
import { AutoModelForCausalLM, BaseStreamer, env, Tensor } from '@huggingface/transformers';
import { compete, type SequenceTiming, stopwatch } from '../contestant.ts';

await compete(async ({ model: folder, threads, task }, onFirstToken) => {
  const started = performance.now();
  env.allowRemoteModels = false;
  env.localModelPath = dirname(folder);
  const model = await AutoModelForCausalLM.from_pretrained(basename(folder), {
    device: 'cpu',
    local_files_only: true,
    session_options: { intraOpNumThreads: threads },
  });
  // The number of tokens is given: no end-of-text id may end it before.
  const stopAtNothing = { eos_token_id: [] };
  const loadSeconds = (performance.now() - started) / 1000;

  /** All prompts in one batch; they must be of one length. */
  async function generate(prompts: readonly (readonly number[])[]): Promise<SequenceTiming[]> {
    const length = prompts[0]?.length ?? 0;
    const shape = [prompts.length, length];
    const ids = BigInt64Array.from(prompts.flat(), BigInt);
    const watches = prompts.map(() => stopwatch(length));
    let prompted = false;
    const streamer = new (class extends BaseStreamer {
      override put(value: bigint[][]): void {
        // The first call hands the prompts back.
        if (prompted) {
          for (const [index, tokens] of value.entries()) watches[index]?.token(Number(tokens.at(-1)));
          onFirstToken();
        }
        prompted = true;
      }
      override end(): void {}
    })();
    await model.generate({
      inputs: new Tensor('int64', ids, shape),
      attention_mask: new Tensor('int64', new BigInt64Array(ids.length).fill(1n), shape),
      max_new_tokens: task.newTokens,
      do_sample: false,
      ...stopAtNothing,
      streamer,
    });
    return watches.map((watch) => watch.timing());
  }

  const begun = performance.now();
  const sequences: SequenceTiming[] = [];
  if (task.kind === 'batch') sequences.push(...(await generate(task.prompts)));
  else for (const prompt of task.prompts) sequences.push(...(await generate([prompt])));
  return { loadSeconds, sequences, totalSeconds: (performance.now() - begun) / 1000 };
});
