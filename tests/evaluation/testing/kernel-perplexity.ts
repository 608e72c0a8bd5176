/**
 * What PyTorch makes of token ids: the kernel's own evaluation of a checkpoint over a prepared folder.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { kernelCommand } from '@slipway/trainer/kernel-command';
import { z } from 'zod';
import { DatasetWriter } from '../../../services/trainer/data/dataset-writer.ts';
import { startKernel } from '../../../services/trainer/supervisor/kernel-process.ts';
import { scratch } from '../../converter/testing/bucket-folder.ts';

export interface EncodedExample {
  readonly ids: readonly number[];
  /** Tokens at the beginning that are not scored. */
  readonly given: number;
}

export async function perplexityByKernel(
  model: string,
  examples: readonly EncodedExample[],
  python: string,
): Promise<number> {
  const folder = await scratch();
  const data = join(folder, 'data');
  const vocabularySize = Math.max(...examples.flatMap(({ ids }) => ids)) + 1;
  const writer = await DatasetWriter.create(data, { kind: 'examples', vocabularySize, maxLength: null });
  for (const { ids, given } of examples) {
    const mask = Uint8Array.from(ids, (_, index) => Number(index >= given));
    await writer.add('{}', Uint32Array.from(ids), mask, ids.length);
  }
  const source = { format: '', template: '', template_sha256: null, tokenizer_sha256: '', seed: 0, files: [] };
  await writer.finish(source);
  const jobFile = join(folder, 'job.json');
  await writeFile(jobFile, JSON.stringify({ operation: 'evaluate', model, data, batch_size: 4 }));
  const kernel = startKernel(kernelCommand(python));
  kernel.begin(jobFile);
  const ended = await kernel.outcome;
  if (ended.kind !== 'done') throw new Error(JSON.stringify(ended));
  return z.object({ perplexity: z.number() }).parse(ended.result).perplexity;
}
