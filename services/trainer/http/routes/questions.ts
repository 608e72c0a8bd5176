/**
 * `/runs/ID/generate` and `/runs/ID/score`: what a run's version answers, asked by POST and polled by GET. Knows their fields; the work is
 * a task.
 */
import { readJsonBody } from '@slipway/shared/http/json-body.ts';
import type { Route } from '@slipway/shared/http/request-context.ts';
import { unlessGone } from '@slipway/shared/http/unless-gone.ts';
import { z } from 'zod';
import { askQuestion, QUESTIONS, type QuestionName, type QuestionTask, questionsOf } from '../questions/question.ts';
import { accessibleRun } from '../runs/accessible-run.ts';
import type { ServiceParts } from '../service-parts.ts';
import { readResult, TaskRecord } from '../tasks/task-record.ts';

const BODY_BYTES = 2 ** 20;

/** What a poll is answered. */
export function questionAnswer<Name extends QuestionName>(name: Name) {
  return TaskRecord.omit({ worker: true }).extend({
    object: z.literal(`run.${name}` as const),
    ...QUESTIONS[name].kind.subject.shape,
    /** What the inference service answers to the same; null until it has succeeded. */
    result: QUESTIONS[name].answer.nullable(),
  });
}

export function questionRoute(parts: ServiceParts, name: QuestionName): Route {
  const { bodies, config } = parts;
  return unlessGone(async (context) => {
    const run = await accessibleRun(config.dataFolder, context.req.param('id'), context.get('principal'));
    const body = await bodies.read((grow) => readJsonBody(context.req.raw, BODY_BYTES, grow));
    const task = await askQuestion(name, parts, run, body);
    context.set('logged', { ...context.get('logged'), run: run.id, task: task.id });
    return context.json(answerOf(name, task, null), 202);
  });
}

export function answerRoute({ config, tasks }: ServiceParts, name: QuestionName): Route {
  return async (context) => {
    const run = await accessibleRun(config.dataFolder, context.req.param('id'), context.get('principal'));
    const { kind, answer } = QUESTIONS[name];
    const folder = questionsOf(config.dataFolder, run.id);
    const task = await tasks.find(kind, folder, context.req.query('id'));
    const result = task.status === 'succeeded' ? await readResult<object>(folder, task.id, answer) : null;
    return context.json(answerOf(name, task, result));
  };
}

function answerOf(name: QuestionName, { worker: _, ...task }: QuestionTask, result: object | null) {
  return { object: `run.${name}`, ...task, result };
}
