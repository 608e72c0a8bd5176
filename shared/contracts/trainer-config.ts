/**
 * Every setting of the trainer's service: its name in flags and environment, its range and its default. Knows nothing of what the service
 * does with them.
 */
import { flag, integer, list, type SettingsOf, text } from '../lib/settings.ts';
import { redisProblem, SERVER_SETTINGS, settingsFrom } from './server-settings.ts';

const FOLDERS = 'folders, with commas between them';

const SETTINGS = {
  ...SERVER_SETTINGS,
  port: { ...SERVER_SETTINGS.port, fallback: 8090 },
  /** Where runs publish to. */
  bucketUrl: text('./bucket', { env: 'BUCKET_URL' }),
  /** What recipes that come over HTTP may read, besides files that were sent. */
  dataRoots: list(() => true, FOLDERS, { env: 'DATA_ROOTS' }),
  /** Where they find a base to go on from. */
  modelRoots: { ...list(() => true, FOLDERS, { env: 'MODEL_ROOTS' }), fallback: ['downloads'] },
  /** False: takes runs and tells of them, and leaves the work to others. */
  workRuns: flag(true, { env: 'WORK_RUNS' }),
  /** Who works: of one name one at a time. Null: the machine's name. */
  worker: text(null, { env: 'WORKER' }),
  /** GiB that are to be free on the disk of the data folder: below it ended runs are freed. 0: none ever is. */
  keepFreeGib: integer(0, 1_000_000, 50, { env: 'RUNS_KEEP_FREE_GIB' }),
  /** How long an ended run keeps everything, however full the disk is. */
  keepDays: integer(0, 36_500, 7, { env: 'RUNS_KEEP_DAYS' }),
  /** A Redis for the queue, with its password. Null: a file in the data folder. */
  jobsUrl: text(null, { env: 'JOBS_URL' }),
} as const;

export type TrainerConfig = SettingsOf<typeof SETTINGS>;
export type TrainerFlags = { readonly [Name in keyof TrainerConfig]?: unknown };

/** AppError invalid_field lists every problem at once. */
export function loadTrainerConfig(
  environment: Readonly<Record<string, string | undefined>>,
  flags: TrainerFlags = {},
): TrainerConfig {
  return settingsFrom(SETTINGS, { flags, environment }, ({ jobsUrl }) => redisProblem('JOBS_URL', jobsUrl));
}
