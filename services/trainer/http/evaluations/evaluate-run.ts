/**
 * An evaluation of a run's version as a task: from what a caller may read to the figures that are kept. Knows no HTTP.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { type EvaluationRequest, evaluate } from '../../evaluation/evaluate.ts';
import { scoringTools } from '../../evaluation/scoring-tools.ts';
import { runFolder } from '../../runs/run-folder.ts';
import type { RunRecord } from '../../runs/run-record.ts';
import { publishedVersion, versionToAsk } from '../runs/published-version.ts';
import type { ServiceParts } from '../service-parts.ts';
import type { Task } from '../tasks/task-record.ts';
import { withoutPlaces } from '../without-places.ts';
import type { EvaluationFields } from './evaluation-request.ts';

const Subject = z.object({
  run: z.string(),
  versions: z.array(z.string()).min(1).max(2),
  /** As it was given. */
  data: z.string(),
});
export type EvaluationTask = Task<z.infer<typeof Subject>>;

export const EVALUATIONS = { prefix: 'eval', noun: 'evaluation', subject: Subject, line: 'evaluations' } as const;

const AT_ONCE = 4;

/** Where a run's evaluations lie. */
export function evaluationsOf(dataFolder: string, run: string): string {
  return join(runFolder(dataFolder, run).path, 'evaluations');
}

/**
 * Begins one. `files`: absolute, which the caller may read. AppError as publishedVersion and TaskRunner.submit throw it, and not_found for
 * metrics without their Python.
 */
export async function evaluateRun(
  { tasks, serve, config }: ServiceParts,
  run: RunRecord,
  fields: EvaluationFields,
  files: readonly string[],
): Promise<EvaluationTask> {
  const ours = await publishedVersion(run, serve);
  const scoring = await scoringTools(fields.metrics);
  const theirs = fields.against === null ? undefined : await versionToAsk(run.bucket, fields.against);
  const versions: EvaluationRequest['versions'] = theirs === undefined ? [ours.version] : [ours.version, theirs];
  const names = versions.flatMap((version) => version?.name ?? []);
  const folder = evaluationsOf(config.dataFolder, run.id);
  const maxNewTokens = fields.max_new_tokens;
  const version = { name: ours.version.name, bucketUrl: run.bucket, maxNewTokens, atOnce: AT_ONCE };
  const begin = (signal: AbortSignal) =>
    ours.serve(version, signal, (client) =>
      evaluate({
        client,
        versions,
        sources: files,
        format: 'auto',
        columns: {},
        cacheFolder: folder,
        limit: fields.limit,
        metrics: fields.metrics,
        maxNewTokens,
        temperature: 0,
        seed: 1,
        atOnce: AT_ONCE,
        scoring,
        signal,
        onProgress: () => {},
      }).catch((error) => {
        throw withoutPlaces(error, new Map(files.map((file) => [file, fields.data])));
      }),
    );
  const subject = { run: run.id, versions: names, data: fields.data };
  return tasks.submit(EVALUATIONS, folder, subject, { message: `asks ${names.join(', ')}`, begin });
}
