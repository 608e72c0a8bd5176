/**
 * `/tokenizers`: trained for callers, who poll for how they stand and what is measured of them. Knows their fields; the work is a task.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { pageOf } from '@slipway/shared/contracts/openai/file.ts';
import { parseOpenAiRequest } from '@slipway/shared/contracts/openai/parse-request.ts';
import { readJsonBody } from '@slipway/shared/http/json-body.ts';
import { mayAccess } from '@slipway/shared/http/principal.ts';
import type { Route } from '@slipway/shared/http/request-context.ts';
import { unlessGone } from '@slipway/shared/http/unless-gone.ts';
import { z } from 'zod';
import { runWaitingFor } from '../../runs/left-by-callers.ts';
import { TokenizerStatistics } from '../../tokenizers/statistics.ts';
import { confineData } from '../confine-recipe.ts';
import type { ServiceParts } from '../service-parts.ts';
import { readResult, TaskRecord, taskIds } from '../tasks/task-record.ts';
import { parseTokenizerRequest } from '../tokenizers/tokenizer-request.ts';
import {
  accessibleTokenizer,
  removeTokenizer,
  TOKENIZERS,
  type TokenizerTask,
  tokenizerFolder,
  tokenizersOf,
  trainForCaller,
} from '../tokenizers/train-for-caller.ts';
import { readableBy } from './runs.ts';

const BODY_BYTES = 64 * 1024;

const ListQuery = z.object({
  after: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});

export const TokenizerAnswer = TaskRecord.omit({ worker: true }).extend({
  object: z.literal('tokenizer'),
  ...TOKENIZERS.subject.omit({ owner: true }).shape,
  /** Null until it has succeeded. */
  statistics: TokenizerStatistics.nullable(),
});
type TokenizerAnswer = z.infer<typeof TokenizerAnswer>;

export const TokenizerRemoved = z.object({ id: z.string(), object: z.literal('tokenizer'), deleted: z.literal(true) });

export function trainTokenizerRoute(parts: ServiceParts): Route {
  return unlessGone(async (context) => {
    const principal = context.get('principal');
    const body = await parts.bodies.read((grow) => readJsonBody(context.req.raw, BODY_BYTES, grow));
    const fields = parseTokenizerRequest(body);
    const given = new Map<string, string>();
    for (const source of fields.data) {
      for (const file of await confineData('data', source, readableBy(principal, parts))) given.set(file, source);
    }
    const task = await trainForCaller(parts, principal.name, fields, given);
    context.set('logged', { ...context.get('logged'), tokenizer: task.id });
    return context.json(await answerOf(parts, task), 202);
  });
}

export function listTokenizersRoute(parts: ServiceParts): Route {
  const { tasks, config } = parts;
  const folder = tokenizersOf(config.dataFolder);
  return async (context) => {
    const { after, limit } = parseOpenAiRequest(ListQuery, context.req.query()).request;
    const principal = context.get('principal');
    if (after !== undefined) await accessibleTokenizer(parts, after, principal, 'after');
    const found: TokenizerTask[] = [];
    for (const id of await taskIds(TOKENIZERS, folder)) {
      if (found.length > limit) break;
      if (after !== undefined && id >= after) continue;
      const task = await tasks.find(TOKENIZERS, folder, id);
      if (mayAccess(principal, task.owner)) found.push(task);
    }
    const page = pageOf(found, limit);
    return context.json({ ...page, data: await Promise.all(page.data.map((task) => answerOf(parts, task))) });
  };
}

export function tokenizerRoute(parts: ServiceParts): Route {
  return async (context) => {
    const task = await accessibleTokenizer(parts, context.req.param('id'), context.get('principal'));
    return context.json(await answerOf(parts, task));
  };
}

export function tokenizerFileRoute(parts: ServiceParts): Route {
  return async (context) => {
    const { id, status } = await accessibleTokenizer(parts, context.req.param('id'), context.get('principal'));
    if (status !== 'succeeded') throw new AppError('conflict', `${id} has no tokenizer.json: it is ${status}`);
    const file = await readFile(join(tokenizerFolder(parts.config.dataFolder, id), 'tokenizer.json'));
    return context.body(new Uint8Array(file), 200, { 'Content-Type': 'application/json' });
  };
}

export function removeTokenizerRoute(parts: ServiceParts): Route {
  return async (context) => {
    const task = await accessibleTokenizer(parts, context.req.param('id'), context.get('principal'));
    const { dataFolder } = parts.config;
    const needing = await runWaitingFor(tokenizerFolder(dataFolder, task.id), dataFolder);
    if (needing !== undefined) {
      throw new AppError('conflict', `${needing} has not read ${task.id} yet: wait until it has, or cancel it`);
    }
    await removeTokenizer(dataFolder, task);
    return context.json({ id: task.id, object: 'tokenizer', deleted: true } satisfies z.infer<typeof TokenizerRemoved>);
  };
}

async function answerOf(
  { config }: ServiceParts,
  { worker: _, owner: __, ...task }: TokenizerTask,
): Promise<TokenizerAnswer> {
  const isDone = task.status === 'succeeded';
  const folder = tokenizersOf(config.dataFolder);
  const statistics = isDone ? await readResult(folder, task.id, TokenizerStatistics) : null;
  return { object: 'tokenizer', ...task, statistics };
}
