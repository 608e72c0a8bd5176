/**
 * Which checkpoint a training goes on from: the newest whose every file is as it was written. A kernel writes them; here they are only read.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, sha256Of } from '@slipway/shared/bucket/durable-files.ts';
import { z } from 'zod';

const CheckpointFile = z.object({
  schema: z.literal(1),
  step: z.number().int().nonnegative(),
  files: z.record(z.string().regex(/^[\w.-]+$/), z.string()),
  state: z.object({ best_step: z.number().int().nullish() }).optional(),
});

export interface Checkpoint {
  readonly path: string;
  readonly step: number;
  /** The best step until then, whose checkpoint is kept besides. */
  readonly best: number | null;
  /** Name -> sha256, without checkpoint.json. */
  readonly files: Readonly<Record<string, string>>;
}

/**
 * `told`: the step of the last one that the kernel told of. What it wrote when its supervisor was killed comes after those: from there on
 * the steps before it, which nobody heard of either, would be missing in the run's events. `onDamaged` is told of those that are passed
 * over, in words. Undefined: training begins at the beginning.
 */
export async function newestCheckpoint(
  work: string,
  told: number | null,
  onDamaged: (why: string) => void,
): Promise<Checkpoint | undefined> {
  const folder = join(work, 'checkpoints');
  const names = await readdir(folder).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw error;
    return [];
  });
  const newestFirst = names
    .filter((name) => /^step-\d+$/.test(name))
    .sort()
    .reverse();
  const isTold = (name: string) => told !== null && Number(name.slice('step-'.length)) <= told;
  for (const name of [...newestFirst.filter(isTold), ...newestFirst.filter((name) => !isTold(name))]) {
    const path = join(folder, name);
    const found = await readCheckpoint(path);
    if (typeof found !== 'string') return found;
    onDamaged(`the checkpoint ${name} is passed over: ${found}`);
  }
  return undefined;
}

/** The checkpoint, or what is wrong with it. */
export async function readCheckpoint(path: string): Promise<Checkpoint | string> {
  try {
    const { step, files, state } = CheckpointFile.parse(
      JSON.parse(await readFile(join(path, 'checkpoint.json'), 'utf8')),
    );
    for (const [name, hash] of Object.entries(files)) {
      if ((await sha256Of(join(path, name))) !== hash) return `${name} is not what was written`;
    }
    return { path, step, best: state?.best_step ?? null, files };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 'a file of it is missing';
    if (error instanceof z.ZodError || error instanceof SyntaxError) return 'its checkpoint.json is no such file';
    throw error;
  }
}
