/**
 * A tokenizer that is trained for a caller, as a task: the text of what the caller may read, whatever its format, as a recipe's tokenizer is
 * learnt from it, and then the kernel. Owns where tokenizers lie and whose they are; knows no HTTP.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { DataRecipe } from '@slipway/shared/contracts/recipe.ts';
import { mayAccess, type Principal } from '@slipway/shared/http/principal.ts';
import { z } from 'zod';
import { findKernelEnvironment } from '../../environment/kernel-environment.ts';
import { writeTrainingText } from '../../prepare/training-text.ts';
import { kernelCommand } from '../../supervisor/kernel-command.ts';
import { TOKENIZER_KINDS } from '../../tokenizers/statistics.ts';
import { trainTokenizer } from '../../tokenizers/train-tokenizer.ts';
import type { ServiceParts } from '../service-parts.ts';
import { removeTask, type Task } from '../tasks/task-record.ts';
import { withoutPlaces } from '../without-places.ts';
import type { TokenizerFields } from './tokenizer-request.ts';

const Subject = z.object({
  owner: z.string(),
  kind: z.enum(TOKENIZER_KINDS),
  /** As it was given. */
  data: z.array(z.string()),
});
export type TokenizerTask = Task<z.infer<typeof Subject>>;

export const TOKENIZERS = { prefix: 'tok', noun: 'tokenizer', subject: Subject, line: 'tokenizers' } as const;

/** With each tokenizer's folder beside its record. */
export function tokenizersOf(dataFolder: string): string {
  return join(dataFolder, 'tokenizers');
}

/** There once it has succeeded. */
export function tokenizerFolder(dataFolder: string, id: string): string {
  return join(tokenizersOf(dataFolder), id);
}

/**
 * Begins one. `given`: what each file, absolute, was called by the caller, who may read it. AppError not_implemented without the kernel's
 * Python, and as TaskRunner.submit throws it.
 */
export async function trainForCaller(
  { tasks, config }: ServiceParts,
  owner: string,
  fields: TokenizerFields,
  given: ReadonlyMap<string, string>,
): Promise<TokenizerTask> {
  const python = await findKernelEnvironment(process.env);
  if (python === undefined) {
    throw new AppError('not_implemented', 'the Python that trains is not set up here: run ./slipway setup trainer');
  }
  const { dataFolder } = config;
  const subject = { owner, kind: fields.kind, data: [...fields.data] };
  const begin = async (signal: AbortSignal, id: string): Promise<object> => {
    const folder = tokenizerFolder(dataFolder, id);
    const textFolder = `${folder}.text`;
    try {
      const data = DataRecipe.parse({ train: [...given.keys()] });
      const cacheFolder = join(dataFolder, 'downloads');
      const text = await writeTrainingText({ data, seed: fields.seed, cacheFolder, folder: textFolder, signal });
      const tools = { ...kernelCommand(python.python), signal };
      return await trainTokenizer({ ...requestOf(fields), files: [text], folder }, tools);
    } catch (error) {
      throw withoutPlaces(error, new Map([...given, [tokenizersOf(dataFolder), 'tokenizers']]));
    } finally {
      await rm(textFolder, { recursive: true, force: true });
    }
  };
  return tasks.submit(TOKENIZERS, tokenizersOf(dataFolder), subject, { message: 'learns from the text', begin });
}

function requestOf({ kind, vocabulary_size, holdout, bos, eos, pad, chat, special_tokens, seed }: TokenizerFields) {
  return {
    kind,
    vocabularySize: kind === 'character' ? null : (vocabulary_size ?? null),
    holdout: holdout ?? null,
    specialTokens: { bos, eos, pad, chat, extra: special_tokens },
    seed,
  };
}

/** AppError not_found, also for one of another key. `field`: where its id was given. */
export async function accessibleTokenizer(
  { tasks, config }: Pick<ServiceParts, 'tasks' | 'config'>,
  id: string | undefined,
  principal: Principal,
  field = 'id',
): Promise<TokenizerTask> {
  const found = await tasks.find(TOKENIZERS, tokenizersOf(config.dataFolder), id ?? '').catch((error) => {
    if (!(error instanceof AppError && error.code === 'not_found')) throw error;
  });
  if (found !== undefined && mayAccess(principal, found.owner)) return found;
  throw new AppError('not_found', `there is no tokenizer ${JSON.stringify(id?.slice(0, 100))}`, { field });
}

/** With what a kernel that was killed has left of it. AppError conflict for one that is not done yet. */
export async function removeTokenizer(dataFolder: string, { id, status }: TokenizerTask): Promise<void> {
  if (status === 'queued' || status === 'running') {
    throw new AppError('conflict', `${id} is ${status}; it can be removed when it is done`);
  }
  const folder = tokenizersOf(dataFolder);
  const names = await readdir(folder);
  const parts = names.filter((name) => name === id || name === `${id}.text` || name.startsWith(`.${id}.partial-`));
  await Promise.all(parts.map((name) => rm(join(folder, name), { recursive: true, force: true })));
  await removeTask(folder, id);
}
