/**
 * What the versions that a run has published answer to its recipe's prompts: samples.jsonl in its folder. They are asked as they are
 * served. A version is published whether or not it can be asked: then the run's events say why.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { errorCode } from '@slipway/shared/bucket/durable-files.ts';
import type { ServiceClient } from '@slipway/shared/lines/service-client.ts';
import { z } from 'zod';
import { continuePrompt, textOfTokens } from '../evaluation/ask-version.ts';
import type { ServeVersion } from '../evaluation/serve-version.ts';
import type { OpenRun } from './open-run.ts';
import type { RunFolder } from './run-folder.ts';
import type { PreparedJob, StageTools } from './stages.ts';

const VersionSample = z.object({
  version: z.string(),
  /** As the model has read it: a conversation with what its template adds. */
  prompt: z.string(),
  prompt_ids: z.array(z.int()),
  text: z.string(),
  finish_reason: z.string(),
  tokens: z.int(),
});
type VersionSample = z.infer<typeof VersionSample>;

export const VersionSamples = z.object({ object: z.literal('list'), data: z.array(VersionSample) });

/** None before the run has published, and of a recipe without prompts. */
export async function samplesOf({ samples }: RunFolder): Promise<VersionSample[]> {
  try {
    const lines = (await readFile(samples, 'utf8')).split('\n').slice(0, -1);
    return lines.map((line) => VersionSample.parse(JSON.parse(line)));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

export async function sampleRun(
  run: OpenRun,
  { samples: prompts }: PreparedJob,
  serve: ServeVersion,
  { signal, onProgress }: StageTools,
): Promise<void> {
  if (prompts.length === 0) return;
  const { bucket, published } = run.record;
  const found: VersionSample[] = [];
  try {
    for (const [index, name] of published.entries()) {
      onProgress('answering the prompts', index / published.length, name);
      const maxNewTokens = Math.max(...prompts.map(({ max_new_tokens }) => max_new_tokens));
      const version = { name, bucketUrl: bucket, maxNewTokens, atOnce: prompts.length };
      found.push(...(await serve(version, signal, (client) => answersOf(client, name, prompts, signal))));
    }
  } catch (error) {
    signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    run.log({ type: 'log', level: 'warning', message: `the prompts were not answered: ${why}` });
    return;
  }
  const { samples: file } = run.folder;
  await writeFile(`${file}.passing`, found.map((sample) => `${JSON.stringify(sample)}\n`).join(''));
  await rename(`${file}.passing`, file);
}

function answersOf(
  client: ServiceClient,
  version: string,
  prompts: PreparedJob['samples'],
  signal: AbortSignal,
): Promise<VersionSample[]> {
  return Promise.all(
    prompts.map(async ({ prompt, max_new_tokens }) => {
      const options = { model: version, maxNewTokens: max_new_tokens, temperature: 0, seed: 0, signal };
      const { text, finish_reason, tokens } = await continuePrompt(client, prompt, options);
      const asked = await textOfTokens(client, prompt, options);
      return { version, prompt: asked, prompt_ids: [...prompt], text, finish_reason, tokens };
    }),
  );
}
