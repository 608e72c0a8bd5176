/**
 * The settings that every HTTP service has, and how a service's table of them is read. Knows nothing of what a service does with them.
 */
import { LOG_LEVELS } from '../lib/log.ts';
import {
  bytes,
  choice,
  integer,
  list,
  readSettings,
  type Setting,
  type SettingSources,
  type SettingsOf,
  text,
} from '../lib/settings.ts';
import { AppError } from './errors.ts';

export const SERVER_SETTINGS = {
  port: integer(0, 65_535, 8080, { env: 'PORT', file: 'SERVER.PORT' }),
  host: text('0.0.0.0', { env: 'HOST', file: 'SERVER.HOST' }),
  bodyLimitBytes: integer(1024, 256 * 2 ** 20, 8 * 2 ** 20, {
    env: 'BODY_LIMIT_BYTES',
    file: 'SERVER.BODY_LIMIT_BYTES',
  }),
  /** Beyond it who has asked nothing for longest is closed. */
  maxConnections: integer(16, 100_000, 4096, { env: 'MAX_CONNECTIONS', file: 'SERVER.MAX_CONNECTIONS' }),
  /** Between questions to the other end of a WebSocket whether it is still there. */
  heartbeatSeconds: integer(1, 3600, 20, { env: 'HEARTBEAT_SECONDS', file: 'CHAT.HEARTBEAT_SECONDS' }),
  drainSeconds: integer(0, 600, 60, { env: 'DRAIN_SECONDS', file: 'SERVER.DRAIN_SECONDS' }),
  logLevel: choice(LOG_LEVELS, 'info', { env: 'LOG_LEVEL', file: 'SERVER.LOG_LEVEL' }),
  /** What a service keeps of its users: conversations, files, batches, runs. Made when it is first needed. */
  dataFolder: text('data', { env: 'DATA_FOLDER', file: 'SERVER.DATA_FOLDER' }),
  /** Of a file that is sent. */
  fileLimitBytes: bytes(2 ** 30, { env: 'FILE_LIMIT_BYTES', file: 'SERVER.FILE_LIMIT_BYTES' }),
  /** Names, digests and scopes of keys. Null: only API_KEY, when that is given. */
  apiKeysFile: text(null, { env: 'API_KEYS_FILE', file: 'SERVER.API_KEYS_FILE' }),
  /** Whose pages may use the service; `*` is all, none is none. */
  corsOrigins: list(isOrigin, 'origins such as https://app.example.com, with commas between them, or *', {
    env: 'CORS_ORIGINS',
    file: 'SERVER.CORS_ORIGINS',
  }),
  /** Of each key, or without keys of each client's address, where a key has no limit of its own. Null: no limit. */
  rateLimitRpm: integer(1, 1_000_000_000, null, { env: 'RATE_LIMIT_RPM', file: 'SERVER.RATE_LIMIT_RPM' }),
  /** Tokens of prompts and answers. */
  rateLimitTpm: integer(1, 1_000_000_000, null, { env: 'RATE_LIMIT_TPM', file: 'SERVER.RATE_LIMIT_TPM' }),
  /** How many proxies stand before the service, each adding to X-Forwarded-For whom it was asked by. */
  trustProxy: integer(0, 10, 0, { env: 'TRUST_PROXY', file: 'SERVER.TRUST_PROXY' }),
  /** Secrets come from the environment only: flags show in process lists, files get committed. */
  apiKey: text(null, { env: 'API_KEY' }),
} as const;

function isOrigin(text: string): boolean {
  return text === '*' || (URL.canParse(text) && new URL(text).origin === text);
}

/** AppError invalid_field lists every problem at once, those that `contradictions` finds included. */
export function settingsFrom<Table extends Readonly<Record<string, Setting<unknown>>>>(
  table: Table,
  sources: SettingSources,
  contradictions: (settings: SettingsOf<Table>) => string[],
): SettingsOf<Table> {
  const { settings, problems } = readSettings(table, sources);
  if (problems.length === 0) problems.push(...contradictions(settings));
  if (problems.length > 0) {
    const heading =
      problems.length === 1 ? 'the configuration has a problem' : `the configuration has ${problems.length} problems`;
    throw new AppError('invalid_field', `${heading}:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
  }
  return settings;
}

/** What a message may say of a Redis' URL that is none: nothing of it is shown, for it may hold a password. */
export function redisProblem(name: string, url: string | null): string[] {
  const isRight = url === null || (/^rediss?:[/][/]/.test(url) && URL.canParse(url));
  return isRight ? [] : [`${name} must be redis://HOST:PORT or rediss://HOST:PORT`];
}
