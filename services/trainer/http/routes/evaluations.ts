/**
 * `/runs/ID/evaluate` and `/runs/ID/eval`: what a run's version is worth on data. Knows their fields; the work is a task.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { Evaluation } from '@slipway/shared/contracts/evaluation.ts';
import { parseFields } from '@slipway/shared/contracts/request-fields.ts';
import { readJsonBody } from '@slipway/shared/http/json-body.ts';
import type { Route } from '@slipway/shared/http/request-context.ts';
import { unlessGone } from '@slipway/shared/http/unless-gone.ts';
import { z } from 'zod';
import { renderReport } from '../../evaluation/report/render-report.ts';
import { readLossCurve } from '../../runs/loss-curve.ts';
import { confineData } from '../confine-recipe.ts';
import { EVALUATIONS, type EvaluationTask, evaluateRun, evaluationsOf } from '../evaluations/evaluate-run.ts';
import { EVALUATION_FIELDS } from '../evaluations/evaluation-request.ts';
import { accessibleRun } from '../runs/accessible-run.ts';
import type { ServiceParts } from '../service-parts.ts';
import { readResult, TaskRecord } from '../tasks/task-record.ts';
import { readableBy } from './runs.ts';

const BODY_BYTES = 64 * 1024;
/** The report has a policy of its own; this keeps it from the cookies and pages of whoever else is at this address. */
const REPORT_POLICY = "sandbox allow-scripts; frame-ancestors 'none'";

export const EvaluationAnswer = TaskRecord.omit({ worker: true }).extend({
  ...EVALUATIONS.subject.shape,
  object: z.literal('run.evaluation'),
  /** Null until it has succeeded. */
  result: Evaluation.nullable(),
});
type EvaluationAnswer = z.infer<typeof EvaluationAnswer>;

export function evaluateRoute(parts: ServiceParts): Route {
  const { bodies, config } = parts;
  return unlessGone(async (context) => {
    const principal = context.get('principal');
    const run = await accessibleRun(config.dataFolder, context.req.param('id'), principal);
    const body = await bodies.read((grow) => readJsonBody(context.req.raw, BODY_BYTES, grow));
    const fields = parseFields(body, EVALUATION_FIELDS, 'data');
    const files = await confineData('data', fields.data, readableBy(principal, parts));
    const record = await evaluateRun(parts, run, fields, files);
    context.set('logged', { ...context.get('logged'), run: run.id, evaluation: record.id });
    return context.json(answerOf(record, null), 202);
  });
}

export function evaluationRoute(parts: ServiceParts): Route {
  return async (context) => {
    const record = await foundEvaluation(context, parts);
    return context.json(answerOf(record, await resultOf(record, parts)));
  };
}

export function reportRoute(parts: ServiceParts): Route {
  return async (context) => {
    const record = await foundEvaluation(context, parts);
    const result = await resultOf(record, parts);
    if (result === null) {
      const why = record.error === null ? record.status : `failed: ${record.error.message}`;
      throw new AppError('conflict', `${record.id} has no report: it is ${why}`);
    }
    const curve = readLossCurve(parts.config.dataFolder, record.run);
    const report = await renderReport(result, curve === undefined ? [] : [curve]);
    return context.html(report, 200, { 'Content-Security-Policy': REPORT_POLICY });
  };
}

/** AppError not_found. */
async function foundEvaluation(context: Parameters<Route>[0], parts: ServiceParts): Promise<EvaluationTask> {
  const { config, tasks } = parts;
  const run = await accessibleRun(config.dataFolder, context.req.param('id'), context.get('principal'));
  return tasks.find(EVALUATIONS, evaluationsOf(config.dataFolder, run.id), context.req.query('id'));
}

async function resultOf(record: EvaluationTask, { config }: ServiceParts): Promise<Evaluation | null> {
  return record.status === 'succeeded'
    ? readResult(evaluationsOf(config.dataFolder, record.run), record.id, Evaluation)
    : null;
}

function answerOf({ worker: _, ...record }: EvaluationTask, result: Evaluation | null): EvaluationAnswer {
  return { object: 'run.evaluation', ...record, result };
}
