/**
 * What a kernel computes of a trained model, for the parity gate: logits of passages and greedy answers. Owns the job and the shape of its
 * result.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TrainedReference } from '@slipway/converter/convert';
import { z } from 'zod';
import { KernelError } from '../supervisor/kernel-error.ts';
import { startKernel } from '../supervisor/kernel-process.ts';

export interface ReferenceRequest {
  readonly model: string;
  readonly passages: readonly (readonly number[])[];
  readonly prompts: readonly (readonly number[])[];
  readonly maxNewTokens: number;
  readonly stopIds: readonly number[];
  /** Of this; made when it is not there. */
  readonly folder: string;
  readonly command: readonly [string, ...string[]];
  readonly environment: NodeJS.ProcessEnv;
  readonly onLine: (line: string) => void;
  readonly signal: AbortSignal;
}

const Result = z.object({
  logits: z.string(),
  greedy: z.array(z.object({ ids: z.array(z.number().int().nonnegative()), ended: z.boolean() })),
});

/** KernelError says what the kernel failed of. */
export async function askKernel(request: ReferenceRequest): Promise<TrainedReference> {
  const { model, passages, prompts, maxNewTokens, stopIds, folder, command, environment, onLine, signal } = request;
  signal.throwIfAborted();
  await mkdir(folder, { recursive: true });
  const jobFile = join(folder, 'job.json');
  const greedy = prompts.map((prompt) => ({ prompt, max_new_tokens: maxNewTokens, stop_ids: stopIds }));
  await writeFile(jobFile, JSON.stringify({ operation: 'reference', model, ids: passages, greedy, folder }));
  const kernel = startKernel({ command, environment, onLine });
  kernel.begin(jobFile);
  const stop = () => kernel.kill('its run is to stop');
  signal.addEventListener('abort', stop, { once: true });
  const outcome = await kernel.outcome;
  signal.removeEventListener('abort', stop);
  signal.throwIfAborted();
  if (outcome.kind === 'failed') {
    const { failure } = outcome;
    throw new KernelError({ ...failure, message: `the trained model could not be read back: ${failure.message}` });
  }
  const { logits, greedy: answers } = Result.parse(outcome.kind === 'done' ? outcome.result : undefined);
  return {
    passages,
    logitsFile: logits,
    greedy: answers.map(({ ids }, index) => ({ prompt: prompts[index] ?? [], ids })),
  };
}
