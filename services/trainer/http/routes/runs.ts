/**
 * `/runs`: recipes that are sent, what became of them, and what people ask of them. Knows their fields; leaves the work to the queue.
 */
import { resolve } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { pageOf } from '@slipway/shared/contracts/openai/file.ts';
import { parseOpenAiRequest } from '@slipway/shared/contracts/openai/parse-request.ts';
import { parseRecipe } from '@slipway/shared/contracts/parse-recipe.ts';
import { accessible } from '@slipway/shared/files-api/routes.ts';
import { readTextBody } from '@slipway/shared/http/json-body.ts';
import { hasScope, mayAccess, type Principal } from '@slipway/shared/http/principal.ts';
import type { Route } from '@slipway/shared/http/request-context.ts';
import { unlessGone } from '@slipway/shared/http/unless-gone.ts';
import { PRIORITIES } from '@slipway/shared/jobs/job-queue.ts';
import { z } from 'zod';
import { askRun } from '../../runs/ask-run.ts';
import { findRuns, runFolder, type Wish } from '../../runs/run-folder.ts';
import type { RunRecord } from '../../runs/run-record.ts';
import { RunState } from '../../runs/run-state.ts';
import { samplesOf } from '../../runs/sample-run.ts';
import { resumeRun, submitRun } from '../../runs/submit-run.ts';
import { confineRecipe, type Readable } from '../confine-recipe.ts';
import { lastLines } from '../follow-lines.ts';
import { requireQueue } from '../readiness.ts';
import { accessibleRun } from '../runs/accessible-run.ts';
import { runAnswer } from '../runs/run-answer.ts';
import type { ServiceParts } from '../service-parts.ts';
import { accessibleTokenizer, tokenizerFolder } from '../tokenizers/train-for-caller.ts';

/** Reading YAML takes a second for each 64 KiB that are made to hurt, and nobody is answered meanwhile. */
const RECIPE_BYTES = 64 * 1024;
const MOST_LOG_BYTES = 2 ** 20;

const TrainQuery = z.object({ priority: z.enum(PRIORITIES).default('normal') });

const RunListQuery = z.object({
  state: RunState.optional(),
  after: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});

const LogsQuery = z.object({ tail: z.coerce.number().int().min(1).max(10_000).default(200) });

export function trainRoute(parts: ServiceParts): Route {
  const { bodies, config, queue } = parts;
  return unlessGone(async (context) => {
    const { priority } = parseOpenAiRequest(TrainQuery, context.req.query()).request;
    const text = await bodies.read((grow) => readTextBody(context.req.raw, RECIPE_BYTES, grow));
    const { recipe } = parseRecipe({ text, label: 'that was sent' });
    const principal = context.get('principal');
    if (recipe.publish.alias !== null && !hasScope(principal, 'admin')) {
      throw new AppError('forbidden', 'publish.alias changes what is served, which needs a key with the scope admin');
    }
    const confined = await confineRecipe(recipe, readableBy(principal, parts));
    await requireQueue(parts);
    const run = await submitRun(config.dataFolder, queue, {
      recipe: confined,
      label: 'POST /runs/train',
      bucketUrl: config.bucketUrl,
      owner: principal.name,
      priority,
      request: { kind: 'recipe', recipe },
    });
    context.set('logged', { ...context.get('logged'), run: run.id });
    return context.json(await runAnswer(run, config.dataFolder, queue));
  });
}

/** What requests of a caller may read. */
export function readableBy(principal: Principal, { config, files, tasks }: ServiceParts): Readable {
  const { dataRoots, modelRoots, dataFolder } = config;
  return {
    dataRoots,
    modelRoots,
    async trainedTokenizer(id, field) {
      const { status } = await accessibleTokenizer({ tasks, config }, id, principal, field);
      if (status === 'succeeded') return resolve(tokenizerFolder(dataFolder, id));
      throw new AppError('conflict', `${field}: ${id} is ${status}; a tokenizer can be used when it has succeeded`);
    },
    sentFile(id, field) {
      const file = accessible(files, id, principal, field);
      if (file.purpose === 'fine-tune') return resolve(file.path);
      throw new AppError('invalid_field', `${id} was sent for ${file.purpose}; send it with the purpose fine-tune`, {
        field,
      });
    },
  };
}

export function listRunsRoute({ config, queue, log }: ServiceParts): Route {
  return async (context) => {
    const { request } = parseOpenAiRequest(RunListQuery, context.req.query());
    const { state, after, limit } = request;
    const principal = context.get('principal');
    if (after !== undefined) await accessibleRun(config.dataFolder, after, principal, 'after');
    const isWanted = (run: RunRecord) =>
      mayAccess(principal, run.owner) && (state === undefined || run.state === state);
    const onDamaged = (id: string, why: string) => log.warn({ run: id, reason: why }, 'a run is not listed');
    const found = await findRuns(config.dataFolder, { isWanted, onDamaged, after, limit: limit + 1 });
    const page = pageOf(found, limit);
    return context.json({
      ...page,
      data: await Promise.all(page.data.map((run) => runAnswer(run, config.dataFolder, queue))),
    });
  };
}

export function runRoute({ config, queue }: ServiceParts): Route {
  return async (context) => {
    const run = await accessibleRun(config.dataFolder, context.req.param('id'), context.get('principal'));
    return context.json(await runAnswer(run, config.dataFolder, queue));
  };
}

export function logsRoute({ config }: ServiceParts): Route {
  return async (context) => {
    const { tail } = parseOpenAiRequest(LogsQuery, context.req.query()).request;
    const { id } = await accessibleRun(config.dataFolder, context.req.param('id'), context.get('principal'));
    const lines = await lastLines(runFolder(config.dataFolder, id).kernelLog, tail, MOST_LOG_BYTES);
    return context.text(lines.map((line) => `${line}\n`).join(''));
  };
}

export function samplesRoute({ config }: ServiceParts): Route {
  return async (context) => {
    const { id } = await accessibleRun(config.dataFolder, context.req.param('id'), context.get('principal'));
    return context.json({ object: 'list', data: await samplesOf(runFolder(config.dataFolder, id)) });
  };
}

/** AppError conflict when it comes too late. */
export function askRoute(parts: ServiceParts, wish: Wish): Route {
  const { config, queue } = parts;
  return async (context) => {
    const { id } = await accessibleRun(config.dataFolder, context.req.param('id'), context.get('principal'));
    await requireQueue(parts);
    const run = await askRun(config.dataFolder, queue, id, wish);
    return context.json(await runAnswer(run, config.dataFolder, queue));
  };
}

/** AppError conflict for one that can no longer go on. */
export function resumeRoute(parts: ServiceParts): Route {
  const { config, queue } = parts;
  return async (context) => {
    const { id } = await accessibleRun(config.dataFolder, context.req.param('id'), context.get('principal'));
    await requireQueue(parts);
    const run = await resumeRun(config.dataFolder, queue, id);
    return context.json(await runAnswer(run, config.dataFolder, queue));
  };
}
