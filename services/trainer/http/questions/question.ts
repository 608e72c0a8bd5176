/**
 * What a run's version can be asked over HTTP, word for word as a service is asked that has it: to go on from a prompt, or how likely it
 * finds texts. What is asked is parsed here, before anything is served for it. Knows no HTTP.
 */
import { join } from 'node:path';
import { Generated, Score } from '@slipway/shared/contracts/answer-schemas.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { generateFields, generateRequestParser } from '@slipway/shared/contracts/generate.ts';
import { parseFields } from '@slipway/shared/contracts/request-fields.ts';
import { parseScoreRequest, SCORE_FIELDS } from '@slipway/shared/contracts/score.ts';
import { z } from 'zod';
import { ask, Refused } from '../../evaluation/ask-version.ts';
import { runFolder } from '../../runs/run-folder.ts';
import type { RunRecord } from '../../runs/run-record.ts';
import { publishedVersion } from '../runs/published-version.ts';
import type { ServiceParts } from '../service-parts.ts';
import type { Task } from '../tasks/task-record.ts';

/** As an evaluation has them. */
const LIMITS = { maxNewTokens: 131_072, defaultMaxNewTokens: 128 };

const Subject = z.object({ run: z.string(), version: z.string() });
export type QuestionTask = Task<z.infer<typeof Subject>>;

const parseGenerate = generateRequestParser(LIMITS);
// Which model is asked the path says, and who polls wants no stream.
const { model: _model, stream: _stream, ...GENERATE_FIELDS } = generateFields(LIMITS);
const { model: _served, ...SCORED_FIELDS } = SCORE_FIELDS;

interface Question {
  readonly body: object;
  readonly maxNewTokens: number;
}

const kind = { subject: Subject, line: 'questions' } as const;

export const QUESTIONS = {
  generate: {
    kind: { ...kind, prefix: 'gen', noun: 'generation' },
    fields: GENERATE_FIELDS,
    /** AppError invalid_field. */
    parse(body: unknown): Question {
      parseFields(body, GENERATE_FIELDS, 'a prompt');
      const { max_new_tokens } = parseGenerate(body);
      return { body: { ...Object(body), max_new_tokens }, maxNewTokens: max_new_tokens };
    },
    answer: Generated,
  },
  score: {
    kind: { ...kind, prefix: 'score', noun: 'score' },
    fields: SCORED_FIELDS,
    parse(body: unknown): Question {
      parseFields(body, SCORED_FIELDS, 'a text, texts, or a prompt and its completion');
      parseScoreRequest(body);
      return { body: Object(body), maxNewTokens: 0 };
    },
    answer: Score,
  },
} as const;

export type QuestionName = keyof typeof QUESTIONS;

/** Where the questions to a run's version lie, and their answers. */
export function questionsOf(dataFolder: string, run: string): string {
  return join(runFolder(dataFolder, run).path, 'questions');
}

/** Begins to ask. AppError invalid_field, and as publishedVersion and TaskRunner.submit throw it. */
export async function askQuestion(
  name: QuestionName,
  { tasks, serve, config }: ServiceParts,
  run: RunRecord,
  body: unknown,
): Promise<QuestionTask> {
  const { kind, parse, answer } = QUESTIONS[name];
  const question = parse(body);
  const { version, serve: serveVersion } = await publishedVersion(run, serve);
  const model = version.name;
  const { maxNewTokens } = question;
  const begin = (signal: AbortSignal) =>
    serveVersion({ name: model, bucketUrl: run.bucket, maxNewTokens, atOnce: 1 }, signal, (client) =>
      ask<object>(client, `/${name}`, { ...question.body, model }, answer, { signal, model }).catch((error) => {
        throw error instanceof Refused ? new AppError('invalid_field', error.message) : error;
      }),
    );
  const subject = { run: run.id, version: model };
  return tasks.submit(kind, questionsOf(config.dataFolder, run.id), subject, { message: `asks ${model}`, begin });
}
