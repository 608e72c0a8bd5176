/**
 * An evaluation of a run as it lies in the run's folder: how it stands in one file, what it found in another, each replaced whole. Knows
 * nothing of how one is done.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, writeDurably } from '@slipway/shared/bucket/durable-files.ts';
import { Evaluation } from '@slipway/shared/contracts/evaluation.ts';
import { z } from 'zod';

/** Sorted by name they are sorted by time. */
const EvaluationId = z.string().regex(/^eval-\d{17}-[0-9a-f]{6}$/);

export const EvaluationRecord = z.object({
  id: EvaluationId,
  run: z.string(),
  status: z.enum(['queued', 'running', 'succeeded', 'failed']),
  /** For people: what is done at the moment. */
  message: z.string(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  created_at: z.iso.datetime(),
  ended_at: z.iso.datetime().nullable(),
  versions: z.array(z.string()).min(1).max(2),
  /** As it was given. */
  data: z.string(),
  /** Which process does it. */
  worker: z.string(),
});
export type EvaluationRecord = z.infer<typeof EvaluationRecord>;

export function newEvaluationId(now: Date): string {
  return `eval-${now.toISOString().replaceAll(/\D/g, '')}-${randomBytes(3).toString('hex')}`;
}

/** `folder`: of the run's evaluations, here and below. Durable when it resolves. */
export async function writeEvaluation(folder: string, record: EvaluationRecord): Promise<void> {
  await replace(folder, recordFile(folder, record.id), record);
}

export async function writeResult(folder: string, id: string, result: Evaluation): Promise<void> {
  await replace(folder, resultFile(folder, id), result);
}

/** Undefined when there is none of that id; without one the newest. `touchedAt`: milliseconds since the epoch. */
export async function readEvaluation(
  folder: string,
  id: string | undefined,
): Promise<{ record: EvaluationRecord; touchedAt: number } | undefined> {
  const known = id ?? (await newestId(folder));
  if (!EvaluationId.safeParse(known).success || known === undefined) return undefined;
  const file = recordFile(folder, known);
  const text = await readFile(file, 'utf8').catch(unlessMissing);
  if (text === undefined) return undefined;
  return { record: EvaluationRecord.parse(JSON.parse(text)), touchedAt: (await stat(file)).mtimeMs };
}

/** Of one that has succeeded. */
export async function readResult(folder: string, { id }: EvaluationRecord): Promise<Evaluation> {
  return Evaluation.parse(JSON.parse(await readFile(resultFile(folder, id), 'utf8')));
}

export function recordFile(folder: string, id: string): string {
  return join(folder, `${id}.json`);
}

function resultFile(folder: string, id: string): string {
  return join(folder, `${id}.result.json`);
}

async function newestId(folder: string): Promise<string | undefined> {
  const names = (await readdir(folder).catch(unlessMissing)) ?? [];
  return names
    .map((name) => name.replace(/\.json$/, ''))
    .filter((name) => EvaluationId.safeParse(name).success)
    .toSorted()
    .at(-1);
}

async function replace(folder: string, file: string, value: object): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeDurably(`${file}.passing`, JSON.stringify(value));
  await rename(`${file}.passing`, file);
}

function unlessMissing(error: unknown): undefined {
  if (errorCode(error) !== 'ENOENT') throw error;
}
