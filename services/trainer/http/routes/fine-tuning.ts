/**
 * `/v1/fine_tuning/jobs`: runs as OpenAI's clients ask for them. Knows their fields; a job is a run of a recipe like any other.
 */
import { randomInt } from 'node:crypto';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { pageOf } from '@slipway/shared/contracts/openai/file.ts';
import {
  FineTuningCreateRequest,
  FineTuningListQuery,
  type FineTuningRequest,
} from '@slipway/shared/contracts/openai/fine-tuning.ts';
import { parseOpenAiRequest } from '@slipway/shared/contracts/openai/parse-request.ts';
import { readJsonBody } from '@slipway/shared/http/json-body.ts';
import { mayAccess, type Principal } from '@slipway/shared/http/principal.ts';
import type { Route } from '@slipway/shared/http/request-context.ts';
import { unlessGone } from '@slipway/shared/http/unless-gone.ts';
import { tellWarnings } from '@slipway/shared/http/warnings.ts';
import { askRun } from '../../runs/ask-run.ts';
import { findRuns, runFolder, type Wish } from '../../runs/run-folder.ts';
import type { RunRecord } from '../../runs/run-record.ts';
import { resumeRun, submitRun } from '../../runs/submit-run.ts';
import { confineBase } from '../confine-recipe.ts';
import { jobCheckpoints, jobEvents, type PageRequest } from '../fine-tuning/job-events.ts';
import { jobObject } from '../fine-tuning/job-object.ts';
import { jobRecipe } from '../fine-tuning/job-recipe.ts';
import { requireQueue } from '../readiness.ts';
import { accessibleRun } from '../runs/accessible-run.ts';
import { progressOf } from '../runs/run-answer.ts';
import type { ServiceParts } from '../service-parts.ts';
import { readableBy } from './runs.ts';

const BODY_BYTES = 64 * 1024;
const LARGEST_SEED = 2 ** 31 - 1;

export function createJobRoute(parts: ServiceParts): Route {
  const { bodies, config, queue } = parts;
  return unlessGone(async (context) => {
    const body = await bodies.read((grow) => readJsonBody(context.req.raw, BODY_BYTES, grow));
    const { request, warnings } = parseOpenAiRequest(FineTuningCreateRequest, body);
    const principal = context.get('principal');
    const readable = readableBy(principal, parts);
    const job = decided(request);
    const { validation_file: validation } = job;
    const recipe = jobRecipe(job, {
      base: await confineBase('model', job.model, readable),
      train: readable.sentFile(job.training_file, 'training_file'),
      validation: validation === null ? null : readable.sentFile(validation, 'validation_file'),
    });
    await requireQueue(parts);
    const run = await submitRun(config.dataFolder, queue, {
      recipe,
      label: 'POST /v1/fine_tuning/jobs',
      bucketUrl: config.bucketUrl,
      owner: principal.name,
      request: { kind: 'fine_tuning', job },
    });
    context.set('logged', { ...context.get('logged'), run: run.id });
    tellWarnings(context, warnings);
    return context.json(jobObject(run, job, null, Date.now()));
  });
}

/** With what the request leaves open. */
function decided({ method, hyperparameters, ...request }: FineTuningCreateRequest): FineTuningRequest {
  const auto = { n_epochs: 'auto', batch_size: 'auto', learning_rate_multiplier: 'auto' } as const;
  return {
    model: request.model,
    training_file: request.training_file,
    validation_file: request.validation_file ?? null,
    hyperparameters: method?.supervised?.hyperparameters ?? hyperparameters ?? auto,
    seed: request.seed ?? randomInt(LARGEST_SEED),
    suffix: request.suffix ?? null,
    metadata: request.metadata ?? null,
  };
}

export function listJobsRoute({ config, log }: ServiceParts): Route {
  return async (context) => {
    const { after, limit } = parseOpenAiRequest(FineTuningListQuery, context.req.query()).request;
    const principal = context.get('principal');
    if (after !== undefined) await accessibleJob(config.dataFolder, after, principal, 'after');
    const isWanted = (run: RunRecord) => mayAccess(principal, run.owner) && run.request?.kind === 'fine_tuning';
    const onDamaged = (id: string, why: string) => log.warn({ run: id, reason: why }, 'a job is not listed');
    const found = await findRuns(config.dataFolder, { isWanted, onDamaged, after, limit: limit + 1 });
    const jobs = found.map((run) => described(run, config.dataFolder));
    return context.json(pageOf(await Promise.all(jobs), limit));
  };
}

export function jobRoute({ config }: ServiceParts): Route {
  return async (context) => {
    const run = await accessibleJob(config.dataFolder, context.req.param('id'), context.get('principal'));
    return context.json(await described(run, config.dataFolder));
  };
}

/** AppError conflict when it comes too late. */
export function askJobRoute(parts: ServiceParts, wish: Wish): Route {
  const { config, queue } = parts;
  return async (context) => {
    const { id } = await accessibleJob(config.dataFolder, context.req.param('id'), context.get('principal'));
    await requireQueue(parts);
    return context.json(await described(await askRun(config.dataFolder, queue, id, wish), config.dataFolder));
  };
}

/** AppError conflict for one that can no longer go on. */
export function resumeJobRoute(parts: ServiceParts): Route {
  const { config, queue } = parts;
  return async (context) => {
    const { id } = await accessibleJob(config.dataFolder, context.req.param('id'), context.get('principal'));
    await requireQueue(parts);
    return context.json(await described(await resumeRun(config.dataFolder, queue, id), config.dataFolder));
  };
}

export function jobEventsRoute(parts: ServiceParts): Route {
  return pageRoute(parts, jobEvents);
}

export function jobCheckpointsRoute(parts: ServiceParts): Route {
  return pageRoute(parts, jobCheckpoints);
}

function pageRoute<T extends { readonly id: string }>(
  { config }: ServiceParts,
  read: (page: PageRequest) => Promise<T[]>,
): Route {
  return async (context) => {
    const { after, limit } = parseOpenAiRequest(FineTuningListQuery, context.req.query()).request;
    const { id } = await accessibleJob(config.dataFolder, context.req.param('id'), context.get('principal'));
    return context.json(
      pageOf(await read({ path: runFolder(config.dataFolder, id).events, run: id, after, limit }), limit),
    );
  };
}

async function described(run: RunRecord, dataFolder: string) {
  if (run.request?.kind !== 'fine_tuning') throw new Error(`${run.id} is no fine-tuning job`);
  const progress = await progressOf(run, dataFolder);
  return jobObject(run, run.request.job, progress?.eta_seconds ?? null, Date.now());
}

/** AppError not_found, also for a run that is no fine-tuning job. */
async function accessibleJob(
  dataFolder: string,
  id: string | undefined,
  principal: Principal,
  field = 'id',
): Promise<RunRecord> {
  const run = await accessibleRun(dataFolder, id, principal, field);
  if (run.request?.kind === 'fine_tuning') return run;
  throw new AppError('not_found', `${run.id} is a run of a recipe, which /runs/${run.id} tells of`, { field });
}
