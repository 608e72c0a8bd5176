/** `slipway train` as people call it, in a data folder and bucket of its own, with the real kernel where its Python is there. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findKernelEnvironment } from '@slipway/trainer/kernel-environment';
import { EventReader, LoggedEvent, listRuns, type RunRecord, runFolder } from '@slipway/trainer/runs';
import { onTestFinished } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../../..');

/** Empty, or why tests that train are skipped. */
export const kernelMissing =
  (await findKernelEnvironment(process.env)) === undefined
    ? ' (skipped: ./slipway setup trainer has not been run)'
    : '';

export interface Trained {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TrainPlace {
  readonly dataFolder: string;
  readonly bucketUrl: string;
  /** `child` is called once it is started. */
  slipway(args: readonly string[], onStarted?: (child: ChildProcess) => void): Promise<Trained>;
  /** The newest. */
  run(): Promise<RunRecord>;
  events(id: string): LoggedEvent[];
}

/** Removed when the test ends. */
export async function newTrainPlace(environment: NodeJS.ProcessEnv = {}): Promise<TrainPlace> {
  const dataFolder = await mkdtemp(join(tmpdir(), 'slipway-train-'));
  const bucketUrl = join(dataFolder, 'bucket');
  onTestFinished(() => rm(dataFolder, { recursive: true, force: true }));
  return {
    dataFolder,
    bucketUrl,
    slipway: (args, onStarted) =>
      new Promise((settle, reject) => {
        const child = spawn(process.execPath, [join(ROOT, 'cli/main.ts'), ...args], {
          cwd: ROOT,
          env: { ...process.env, ...environment, DATA_FOLDER: dataFolder, BUCKET_URL: bucketUrl },
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        let stdout = '';
        let stderr = '';
        child.stdout.setEncoding('utf8').on('data', (text: string) => {
          stdout += text;
        });
        child.stderr.setEncoding('utf8').on('data', (text: string) => {
          stderr += text;
        });
        child.once('error', reject);
        child.once('close', (code) => settle({ code, stdout, stderr }));
        onStarted?.(child);
      }),
    async run() {
      for (;;) {
        const [newest] = await listRuns(dataFolder);
        if (newest !== undefined) return newest;
        await sleep(50);
      }
    },
    events: (id) => new EventReader(runFolder(dataFolder, id).events).read().map((event) => LoggedEvent.parse(event)),
  };
}

/** Of the shipped recipe a model that learns nothing much in seconds. */
export const TINY = [
  'training.max_steps=12',
  'training.batch_size=4',
  'training.log_every=1',
  'training.evaluate_every=6',
  'training.checkpoint_every=3',
  'evaluation.max_new_tokens=16',
  'data.validation=0.01',
].flatMap((change) => ['--set', change]);

export const TINY_GPT2 = [
  'recipes/shakespeare-gpt2.yaml',
  ...TINY,
  ...[
    'model.scratch={family: gpt2, layers: 1, heads: 2, hidden_size: 32, context_length: 64}',
    'tokenizer.vocabulary_size=300',
  ].flatMap((change) => ['--set', change]),
];

/** Step -> loss; of a step that was done twice, the last. */
export function lossCurve(events: readonly LoggedEvent[]): ReadonlyMap<number, number> {
  return new Map(events.flatMap((event) => (event.type === 'progress' ? [[event.step, event.loss] as const] : [])));
}
