/**
 * Every setting of the inference service: its name in flags, environment and config.yml, its range and its default.
 * Knows nothing of what the service does with them.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { bytes, flag, integer, list, type SettingsOf, text } from '../lib/settings.ts';
import { AppError } from './errors.ts';
import { isModelReference } from './manifest.ts';
import { redisProblem, SERVER_SETTINGS, settingsFrom } from './server-settings.ts';

const SETTINGS = {
  ...SERVER_SETTINGS,

  /** NAME, NAME@champion or NAME@v001 in the bucket. Null: the bucket's first model. */
  model: text(null, { env: 'MODEL', file: 'HUGGINGFACE_MODEL.NAME' }),
  /** What NAME was trained from. Serving does not need it: a version carries its own architecture and tokenizer. */
  baseModel: text(null, { file: 'HUGGINGFACE_MODEL.BASE' }),
  /** Null: ./bucket when it holds models, else the models bundled with the repository. */
  bucketUrl: text(null, { env: 'BUCKET_URL', file: 'BUCKET.URL' }),
  /** Lines of batches that are answered at once, when there is room. Null: half of what runs at once. */
  batchLines: integer(1, 256, null, { env: 'BATCH_LINES', file: 'GENERATION.BATCH_LINES' }),
  /** Seconds between looks at where the model's name points; 0: never. */
  pollSeconds: integer(0, 86_400, 10, { env: 'POLL_SECONDS', file: 'BUCKET.POLL_SECONDS' }),

  /** Loaded beside the model, once that answers. */
  preload: list(isModelReference, 'NAME, NAME@ALIAS or NAME@v001, with commas between them', {
    env: 'PRELOAD',
    file: 'MODELS.PRELOAD',
  }),
  /** Whether a request may load the model it names. */
  modelsOnDemand: flag(false, { env: 'MODELS_ON_DEMAND', file: 'MODELS.ON_DEMAND' }),
  /** Bytes that all engines together may hold. Null: what the container or machine has. */
  modelsMaxMemory: bytes(null, { env: 'MODELS_MAX_MEMORY', file: 'MODELS.MAX_MEMORY' }),

  /** A conversation is kept so long after its last turn; and so many of each key, those unused for longest go first. */
  sessionTtlSeconds: integer(1, 10 * 365 * 86_400, 7 * 86_400, {
    env: 'SESSION_TTL_SECONDS',
    file: 'CHAT.SESSION_TTL_SECONDS',
  }),
  maxSessions: integer(1, 1_000_000, 10_000, { env: 'MAX_SESSIONS', file: 'CHAT.MAX_SESSIONS' }),
  /** An answer whose WebSocket broke goes on so long, and can be had so long after its end. */
  resumeSeconds: integer(0, 3600, 30, { env: 'RESUME_SECONDS', file: 'CHAT.RESUME_SECONDS' }),

  maxNewTokens: integer(1, 131_072, 512, { env: 'MAX_NEW_TOKENS', file: 'GENERATION.MAX_NEW_TOKENS' }),
  defaultMaxNewTokens: integer(1, 131_072, 64, {
    env: 'DEFAULT_MAX_NEW_TOKENS',
    file: 'GENERATION.DEFAULT_MAX_NEW_TOKENS',
  }),
  /** A longer prompt loses its beginning. */
  maxPromptTokens: integer(1, 131_072, 2048, { env: 'MAX_PROMPT_TOKENS', file: 'GENERATION.MAX_PROMPT_TOKENS' }),
  timeoutSeconds: integer(1, 3600, 60, { env: 'TIMEOUT_SECONDS', file: 'GENERATION.TIMEOUT_SECONDS' }),
  /** Requests that run at once; 1 is strictly one at a time. */
  occupancySemaphore: integer(1, 256, 16, { env: 'OCCUPANCY_SEMAPHORE', file: 'GENERATION.OCCUPANCY_SEMAPHORE' }),
  /** Requests that may wait behind them. */
  queueLimit: integer(0, 100_000, 256, { env: 'QUEUE_LIMIT', file: 'GENERATION.QUEUE_LIMIT' }),

  /** Sequences the engine decodes at once. Null: as many as requests run at once. */
  slots: integer(1, 256, null, { env: 'SLOTS', file: 'ENGINE.SLOTS' }),
  /** Null: what the container's processor limit allows. */
  threads: integer(1, 1024, null, { env: 'THREADS', file: 'ENGINE.THREADS' }),
  /** Positions per slot. Null: the longest prompt and answer, or what the model can do when that is less. */
  contextLength: integer(2, 1_048_576, null, { env: 'CONTEXT_LENGTH', file: 'ENGINE.CONTEXT_LENGTH' }),

  /** Answers to deterministic requests are kept in so many MiB; 0: none is. */
  responseCacheMb: integer(0, 65_536, 0, { env: 'RESPONSE_CACHE_MB', file: 'GENERATION.RESPONSE_CACHE_MB' }),

  /** Where traces are sent: a collector that speaks OTLP over HTTP. Null: there are none. */
  otlpEndpoint: text(null, { env: 'OTEL_EXPORTER_OTLP_ENDPOINT' }),

  /** Secrets come from the environment only: flags show in process lists, files get committed. */
  hfToken: text(null, { env: 'HF_TOKEN' }),
  /** A Redis for conversations, with its password. Null: a file in the data folder. */
  sessionsUrl: text(null, { env: 'SESSIONS_URL' }),
} as const;

export type ServiceConfig = SettingsOf<typeof SETTINGS>;
export type ServiceFlags = { readonly [Name in keyof ServiceConfig]?: unknown };

export interface ConfigSources {
  readonly flags?: ServiceFlags;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** A config.yml that must exist; null: none is read. Default: CONFIG of the environment, else ./config.yml if there is one. */
  readonly path?: string | null | undefined;
}

/** AppError invalid_field lists every problem at once. */
export async function loadServiceConfig(sources: ConfigSources = {}): Promise<ServiceConfig> {
  const environment = sources.environment ?? {};
  const file =
    sources.path === null ? undefined : await readConfigFile(sources.path ?? (environment.CONFIG || undefined));
  return settingsFrom(
    SETTINGS,
    { flags: sources.flags ?? {}, environment, ...(file === undefined ? {} : { file }) },
    contradictions,
  );
}

function contradictions({ defaultMaxNewTokens, maxNewTokens, sessionsUrl }: ServiceConfig): string[] {
  const problems: string[] = [];
  if (defaultMaxNewTokens > maxNewTokens) {
    problems.push(`DEFAULT_MAX_NEW_TOKENS (${defaultMaxNewTokens}) must not be above MAX_NEW_TOKENS (${maxNewTokens})`);
  }
  return [...problems, ...redisProblem('SESSIONS_URL', sessionsUrl)];
}

async function readConfigFile(path: string | undefined): Promise<{ label: string; root: unknown } | undefined> {
  const place = resolve(path ?? 'config.yml');
  if (path === undefined && !existsSync(place)) return undefined;
  // Most services have no file, and starts are timed in milliseconds.
  const { parse, YAMLParseError } = await import('yaml');
  try {
    return { label: path ?? 'config.yml', root: parse(await readFile(place, 'utf8')) };
  } catch (error) {
    const isYaml = error instanceof YAMLParseError;
    const problem = isYaml
      ? `is not valid YAML: ${error.message.split('\n')[0]}`
      : `cannot be read: ${reasonOf(error)}`;
    throw new AppError(isYaml ? 'invalid_field' : 'not_found', `the configuration file ${place} ${problem}`, {
      cause: error,
    });
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
