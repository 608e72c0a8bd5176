/**
 * What somebody asked the service to do beside the trainings, as it lies in a folder: how it stands in one file, what came of it in
 * another, each replaced whole. Knows nothing of what the tasks are.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '@slipway/shared/bucket/durable-files.ts';
import { z } from 'zod';
import { replaceFile } from '../../runs/run-folder.ts';

export const TaskRecord = z.object({
  id: z.string(),
  status: z.enum(['queued', 'running', 'succeeded', 'failed']),
  /** For people: what is done at the moment. */
  message: z.string(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  created_at: z.iso.datetime(),
  ended_at: z.iso.datetime().nullable(),
  /** Which process does it. */
  worker: z.string(),
});
export type TaskRecord = z.infer<typeof TaskRecord>;

/** With what it is about. */
export type Task<Subject> = TaskRecord & Subject;

export interface TaskKind<Subject extends object> {
  /** What its ids begin with. */
  readonly prefix: string;
  /** For people: `evaluation`. */
  readonly noun: string;
  readonly subject: z.ZodType<Subject>;
  /** Of one line one task is worked on at a time. */
  readonly line: string;
}

/** Sorted by name they are sorted by time. */
const NAME = /^([a-z]+)-\d{17}-[0-9a-f]{6}$/;

export function newTaskId(prefix: string, now: Date): string {
  return `${prefix}-${now.toISOString().replaceAll(/\D/g, '')}-${randomBytes(3).toString('hex')}`;
}

/** Durable when it resolves. */
export async function writeTask(folder: string, record: TaskRecord): Promise<void> {
  await replace(folder, recordFile(folder, record.id), record);
}

export async function writeResult(folder: string, id: string, result: object): Promise<void> {
  await replace(folder, resultFile(folder, id), result);
}

/** Undefined when there is none of that kind and id. `touchedAt`: milliseconds since the epoch. */
export async function readTask<Subject extends object>(
  { prefix, subject }: TaskKind<Subject>,
  folder: string,
  id: string,
): Promise<{ task: Task<Subject>; touchedAt: number } | undefined> {
  if (NAME.exec(id)?.[1] !== prefix) return undefined;
  const file = recordFile(folder, id);
  const text = await readFile(file, 'utf8').catch(unlessMissing);
  if (text === undefined) return undefined;
  const task = z.intersection(TaskRecord, subject).parse(JSON.parse(text));
  return { task, touchedAt: (await stat(file)).mtimeMs };
}

/** Of one that has succeeded. */
export async function readResult<Result>(folder: string, id: string, shape: z.ZodType<Result>): Promise<Result> {
  return shape.parse(JSON.parse(await readFile(resultFile(folder, id), 'utf8')));
}

/** Newest first. */
export async function taskIds({ prefix }: Pick<TaskKind<object>, 'prefix'>, folder: string): Promise<string[]> {
  const names = (await readdir(folder).catch(unlessMissing)) ?? [];
  return names
    .map((name) => name.replace(/\.json$/, ''))
    .filter((name, index) => names[index] !== name && NAME.exec(name)?.[1] === prefix)
    .toSorted()
    .reverse();
}

/** The record last: until it is gone the rest can be removed again. */
export async function removeTask(folder: string, id: string): Promise<void> {
  await rm(resultFile(folder, id), { force: true });
  await rm(recordFile(folder, id), { force: true });
}

export function recordFile(folder: string, id: string): string {
  return join(folder, `${id}.json`);
}

function resultFile(folder: string, id: string): string {
  return join(folder, `${id}.result.json`);
}

async function replace(folder: string, file: string, value: object): Promise<void> {
  await mkdir(folder, { recursive: true });
  await replaceFile(file, JSON.stringify(value));
}

function unlessMissing(error: unknown): undefined {
  if (errorCode(error) !== 'ENOENT') throw error;
}
