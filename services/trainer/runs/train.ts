/**
 * The training stage of a run: one kernel, from its last checkpoint on, watched until its one outcome. It is started before there is anything
 * to train on, because what it imports takes it seconds. Owns what the kernel is told and what its events change in the record. Does not
 * decide whether another try follows.
 */
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Recipe } from '@slipway/shared/contracts/recipe.ts';
import { endOrphan, rememberKernel } from '../supervisor/end-orphan.ts';
import type { KernelCommand } from '../supervisor/kernel-command.ts';
import { type KernelOutcome, type KernelProcess, startKernel } from '../supervisor/kernel-process.ts';
import type { KernelEvent } from '../supervisor/kernel-protocol.ts';
import { type Checkpoint, newestCheckpoint } from './checkpoints.ts';
import type { OpenRun, RunChanges } from './open-run.ts';
import type { RunRecord } from './run-record.ts';
import { sampleTextOf } from './sample-text.ts';
import type { PreparedJob } from './stages.ts';

export interface TrainControl {
  /** A checkpoint's folder, which is whole. */
  readonly onCheckpoint: (path: string) => void;
  /** Where a checkpoint comes from when none is whole here. */
  readonly fetchCheckpoint: () => Promise<Checkpoint | undefined>;
}

export interface Training {
  /** What stops the kernel between two steps, and at once. */
  readonly kernel: Pick<KernelProcess, 'pause' | 'cancel' | 'kill'>;
  /** Once. */
  train(prepared: PreparedJob): Promise<KernelOutcome>;
  /** Resolves when the kernel is gone, whether or not it had anything to do. */
  end(): Promise<void>;
}

export async function startTraining(
  run: OpenRun,
  { command, environment }: KernelCommand,
  control: TrainControl,
): Promise<Training> {
  const { folder } = run;
  await endOrphan(folder.kernel);
  await mkdir(folder.work, { recursive: true });
  const log = createWriteStream(folder.kernelLog, { flags: 'a' });
  // A disk that is full takes no log; what fails because of it is told by the kernel and the record.
  log.on('error', () => {});
  const changes: Promise<void>[] = [];
  const change = (changesOf: (record: RunRecord) => RunChanges) => {
    const changed = run.update(changesOf);
    // What fails is told at the end.
    changed.catch(() => {});
    changes.push(changed);
  };
  const textOf = sampleTextOf(folder.tokenizer);
  let fault: { readonly error: unknown } | undefined;
  const kernel = startKernel({
    command: [...command, 'train'],
    environment,
    onHello: ({ libraries, python, kernel: version }) =>
      change(({ lineage }) => ({
        lineage: { ...lineage, libraries: { ...lineage.libraries, slipway_kernel: version, python, ...libraries } },
      })),
    onEvent: (event) => {
      try {
        run.log(event.type === 'sample' ? { ...event, ...textOf(event) } : event);
      } catch (error) {
        // What cannot be written down did not happen: the disk is full.
        fault ??= { error };
        kernel.kill('its events cannot be written down');
      }
      change((record) => changesBy(event, record));
      if (event.type === 'checkpoint') control.onCheckpoint(event.path);
    },
    onLine: (line) => log.write(`${line}\n`),
  });
  let isOver = false;
  const ended = kernel.outcome.finally(() => {
    isOver = true;
    log.end();
  });
  try {
    if (kernel.pid > 0) rememberKernel(folder.kernel, kernel.pid);
  } catch (error) {
    // Who gets no training has none to end.
    kernel.kill('it could not be written down');
    await ended;
    throw error;
  }

  async function writeJob(prepared: PreparedJob): Promise<string> {
    const { checkpoint_step: told } = run.record;
    const warn = (message: string) => run.log({ type: 'log', level: 'warning', message });
    const here = await newestCheckpoint(folder.work, told, warn);
    const checkpoint = here ?? (told === null ? undefined : await control.fetchCheckpoint());
    const jobFile = join(folder.work, 'job.json');
    const job = { ...trainJob(run.record, prepared, folder.work), resume: checkpoint?.path ?? null };
    await writeFile(jobFile, `${JSON.stringify(job, null, 1)}\n`);
    return jobFile;
  }

  return {
    kernel,
    train: async (prepared) => {
      const jobFile = await writeJob(prepared);
      await run.update(({ attempts }) => ({ attempts: attempts + 1 }));
      const startedAt = performance.now();
      run.log({ type: 'phase', phase: 'starting the kernel', part: 0 });
      kernel.begin(jobFile);
      const outcome = await ended;
      if (fault !== undefined) throw fault.error;
      await Promise.all(changes);
      const seconds = (performance.now() - startedAt) / 1000;
      await run.update(({ durations }) => ({ durations: { ...durations, training: durations.training + seconds } }));
      return outcome;
    },
    end: async () => {
      if (!isOver) kernel.kill('there is nothing to train');
      await ended;
    },
  };
}

/** As the kernel reads it, without `resume`. */
function trainJob(record: RunRecord, prepared: PreparedJob, folder: string) {
  const { lineage: _, context_length: __, sequence_length, ...rest } = prepared;
  const { training } = record.recipe;
  const { largest_micro_batch: limit } = record;
  const { micro_batch_size: asked } = training;
  return {
    operation: 'train',
    folder,
    ...rest,
    training: {
      ...training,
      epochs: training.max_steps === null ? training.epochs : null,
      learning_rate: learningRate(record.recipe),
      sequence_length,
      micro_batch_size: limit === null ? asked : asked === 'auto' ? limit : Math.min(asked, limit),
    },
  };
}

/** `auto`: what is usual for this kind of training. */
export function learningRate({ training, model }: Pick<Recipe, 'training' | 'model'>): number {
  if (training.learning_rate !== 'auto') return training.learning_rate;
  if (model.scratch !== null) return model.scratch.family === 'char-lstm' ? 2e-3 : 6e-4;
  return model.tuning.method === 'full' ? 2e-5 : 2e-4;
}

function deviceInWords({ device, precision, world_size }: Extract<KernelEvent, { type: 'started' }>): string {
  return `${device}, ${precision}${world_size === 1 ? '' : `, ${world_size} processes`}`;
}

function changesBy(event: KernelEvent, record: RunRecord): RunChanges {
  switch (event.type) {
    case 'started':
      return {
        hardware: { ...record.hardware, device: deviceInWords(event) },
        micro_batch: event.micro_batch_size,
      };
    case 'micro_batch':
      return { micro_batch: event.to };
    case 'checkpoint': {
      const isNew = record.checkpoint_step === null || event.step > record.checkpoint_step;
      return isNew ? { checkpoint_step: event.step, retries: {} } : {};
    }
    default:
      return {};
  }
}
