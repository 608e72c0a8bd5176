/**
 * The one way to log: JSON lines, or readable lines in a terminal. Owns that secrets never leave the process in a log.
 * Knows nothing of what is logged.
 */
import { hostname } from 'node:os';
import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const SECRET_FIELDS = ['authorization', 'apiKey', 'api_key', 'API_KEY', 'hfToken', 'HF_TOKEN', 'password', 'token'];

export interface LogOptions {
  readonly service: string;
  readonly level: LogLevel;
  /** Replaced wherever they turn up in a line, whatever field or message they are in. */
  readonly secrets?: readonly (string | null | undefined)[];
  readonly destination: DestinationStream;
}

export function createLogger(options: LogOptions): Logger {
  const needles = needlesOf(options.secrets ?? []);
  return pino(
    {
      level: options.level,
      base: { service: options.service, instance: `${hostname()}:${process.pid}` },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]), censor: '[redacted]' },
      hooks: {
        streamWrite: (line) =>
          needles.reduce((text, needle) => text.replaceAll(needle, '[redacted]'), line).replaceAll(LINE_ENDS, escaped),
      },
    },
    options.destination,
  );
}

/** Those that JSON leaves as they are, at which some who read lines end one. */
const LINE_ENDS = /[\u0085\u2028\u2029]/g;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Standard output: readable lines in a terminal, JSON elsewhere. */
export async function terminalOrJson(): Promise<DestinationStream> {
  if (process.stdout.isTTY !== true) return pino.destination({ dest: 1, sync: true });
  const { default: pretty } = await import('pino-pretty');
  return pretty({
    destination: 1,
    sync: true,
    singleLine: true,
    errorLikeObjectKeys: ['err'],
    translateTime: 'SYS:HH:MM:ss',
    ignore: ['pid', 'hostname', 'service', 'instance', ...REQUEST_FIELDS].join(','),
    messageFormat: forPeople,
  });
}

/** Those of a request's line that everybody looks for. */
const REQUEST_FIELDS = ['method', 'path', 'route', 'status', 'ms'] as const;

function forPeople(line: Record<string, unknown>, messageKey: string): string {
  const { method, path, status, ms } = line;
  const text = status === undefined ? `${line[messageKey]}` : `${method} ${path} ${status} in ${ms} ms`;
  // What a client puts into a path must not steer the terminal.
  return text.replaceAll(/\p{Cc}/gu, '?');
}

/** For those who want no log. */
export const silence: DestinationStream = { write: () => {} };

/** A secret as it is and as JSON writes it. */
function needlesOf(secrets: readonly (string | null | undefined)[]): string[] {
  const found = secrets.filter((secret): secret is string => typeof secret === 'string' && secret.length > 0);
  return [...new Set(found.flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]))];
}
