/**
 * The publishing stage of a run: the kernel reads the trained model back and says what it computes, and versions that give the same are
 * published and written into the record. Owns the lineage.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { askKernel } from '../publish/ask-kernel.ts';
import { publishModel } from '../publish/publish-model.ts';
import { referencePassages } from '../publish/reference-passages.ts';
import type { KernelCommand } from '../supervisor/kernel-command.ts';
import { describeExamples, keepExamples } from './keep-examples.ts';
import { withoutPlaces } from './locate-recipe.ts';
import type { OpenRun } from './open-run.ts';
import type { RunRecord, Trained } from './run-record.ts';
import type { PreparedJob, StageTools } from './stages.ts';

/** Tokens of each answer that must come out the same. */
const ANSWER_TOKENS = 48;
/** Of a passage, what an answer goes on from. */
const PROMPT_TOKENS = 12;

export async function publishRun(
  run: OpenRun,
  prepared: PreparedJob,
  { command, environment }: KernelCommand,
  { signal, onProgress }: StageTools,
): Promise<void> {
  const { record, folder } = run;
  const { trained, recipe } = record;
  if (trained === null) throw new Error(`${record.id} is published before it is trained`);
  onProgress('reading the model back', 0);
  const { context_length } = prepared;
  const passages = await referencePassages(prepared.data.validation ?? prepared.data.train, context_length);
  const answerTokens = Math.min(ANSWER_TOKENS, Math.max(1, context_length - PROMPT_TOKENS));
  const prompts = [
    ...passages.map((passage) => passage.slice(0, PROMPT_TOKENS)),
    ...prepared.samples.map(({ prompt }) => prompt),
  ];
  const reference = await askKernel({
    model: trained.model,
    passages,
    prompts: prompts.filter(({ length }) => length + answerTokens <= context_length),
    maxNewTokens: answerTokens,
    stopIds: prepared.stop_ids,
    folder: join(folder.work, 'reference'),
    command,
    environment,
    onLine: (line) => appendFileSync(folder.kernelLog, `${line}\n`),
    signal,
  });
  const examples = await describeExamples(prepared.data);
  await keepWhatFits(run, prepared, examples);
  await publishModel({
    model: trained.model,
    name: record.name,
    description: recipe.publish.description ?? recipe.description,
    precisions: recipe.publish.precision,
    alias: recipe.publish.alias,
    bucketUrl: record.bucket,
    lineage: { ...lineageOf(record, trained), examples },
    trained: reference,
    signal,
    onProgress: (precision, phase, part) => onProgress(`${phase} ${precision}`, part),
    onPublished: async ({ name, version, precision, files, parity }) => {
      const reference = `${name}@${version}`;
      await run.update(({ published }) => ({ published: [...new Set([...published, reference])] }));
      run.log({
        type: 'published',
        version: reference,
        precision,
        bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
        perplexity: parity.perplexity,
        perplexity_source: parity.perplexity_source,
        top1_agreement: parity.top1_agreement,
        greedy_tokens: parity.trained?.greedy_tokens ?? 0,
      });
    },
  });
}

/** A version without its examples is better than none. */
async function keepWhatFits(
  run: OpenRun,
  { data }: PreparedJob,
  examples: Awaited<ReturnType<typeof describeExamples>>,
): Promise<void> {
  const { record, folder } = run;
  const limit = record.recipe.publish.data_gib * 2 ** 30;
  try {
    await keepExamples(openBucket(record.bucket), data, examples, limit, join(folder.work, 'examples'));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    run.log({ type: 'log', level: 'warning', message: `the training examples are not in the bucket: ${why}` });
  }
}

/** Everything the version could be made again from. */
function lineageOf({ id, recipe, lineage }: RunRecord, trained: Trained): RunRecord['lineage'] & { run: string } {
  return {
    ...lineage,
    run: id,
    config: withoutPlaces(recipe),
    training: {
      steps: trained.step,
      loss: trained.loss,
      validation_loss: trained.best_loss,
      tokens: trained.tokens,
      seconds: trained.seconds,
    },
  };
}
