/**
 * `slipway keys create | list | revoke`. Knows what a key looks like and what people are told; the file is edited elsewhere.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type ApiKeyEntry, keyName, type Scope } from '@slipway/shared/contracts/api-keys.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { textTable } from '../text-table.ts';
import { addEntry, readEntries, removeEntry } from './keys-file.ts';

interface CommonOptions {
  readonly file?: string;
  readonly json?: true;
}

interface CreateOptions extends CommonOptions {
  readonly scope: Scope;
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
  readonly expires?: string;
}

/** 256 bits: nobody guesses them, and nobody has to be slowed down. */
const KEY_BYTES = 32;
const DAY_MILLISECONDS = 86_400_000;

export async function create(name: string, options: CreateOptions): Promise<void> {
  const named = keyName.safeParse(name);
  if (!named.success) throw wrong(`the name ${JSON.stringify(name)} ${named.error.issues[0]?.message}`);
  const key = `sk-slipway-${randomBytes(KEY_BYTES).toString('base64url')}`;
  const now = new Date();
  const entry: ApiKeyEntry = {
    name,
    sha256: createHash('sha256').update(key).digest('hex'),
    scopes: [options.scope],
    created: now.toISOString(),
    ...(options.expires === undefined ? {} : { expires: expiryOf(options.expires, now).toISOString() }),
    ...(options.requestsPerMinute === undefined ? {} : { requests_per_minute: options.requestsPerMinute }),
    ...(options.tokensPerMinute === undefined ? {} : { tokens_per_minute: options.tokensPerMinute }),
  };
  const file = fileOf(options);
  await addEntry(file, entry);
  const { sha256: _sha256, ...told } = entry;
  print(options, { ...told, key, file }, () =>
    [
      key,
      '',
      `This is the only time it is shown; ${file} keeps its sha256. Clients send it as \`Authorization: Bearer KEY\`.`,
      `A service asks for it when it is started with API_KEYS_FILE=${file}.`,
    ].join('\n'),
  );
}

export async function list(options: CommonOptions): Promise<void> {
  const file = fileOf(options);
  const entries = await readEntries(file);
  const shown = entries.map(({ sha256: _sha256, ...entry }) => entry);
  print(options, { file, keys: shown }, () => (shown.length === 0 ? `${file} holds no keys.` : draw(entries)));
}

export async function revoke(name: string, options: CommonOptions): Promise<void> {
  const file = fileOf(options);
  await removeEntry(file, name);
  print(options, { name, revoked: true, file }, () => `${name} is revoked; running services notice within seconds`);
}

function draw(entries: readonly ApiKeyEntry[]): string {
  const rows = entries.map(({ name, scopes, created, expires, requests_per_minute, tokens_per_minute }) => [
    name,
    scopes.join(', '),
    created?.slice(0, 10) ?? '',
    expiry(expires),
    requests_per_minute?.toString() ?? '',
    tokens_per_minute?.toString() ?? '',
  ]);
  return textTable(['NAME', 'SCOPES', 'CREATED', 'EXPIRES', '>REQUESTS/MIN', '>TOKENS/MIN'], rows);
}

function expiry(expires: string | undefined): string {
  if (expires === undefined) return '';
  return Date.parse(expires) <= Date.now() ? `${expires.slice(0, 10)} (expired)` : expires.slice(0, 10);
}

function expiryOf(text: string, now: Date): Date {
  const days = /^(\d{1,5})d$/.exec(text)?.[1];
  const time = days === undefined ? dateOf(text) : now.getTime() + Number(days) * DAY_MILLISECONDS;
  if (Number.isNaN(time))
    throw wrong(`--expires ${JSON.stringify(text)} is neither days (90d) nor a date (2030-01-31)`);
  if (time <= now.getTime()) throw wrong(`--expires ${JSON.stringify(text)} is past`);
  return new Date(time);
}

/** Written as ISO 8601: what else Date.parse takes means different things in different places. */
function dateOf(text: string): number {
  return /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text) ? Date.parse(text) : Number.NaN;
}

function fileOf({ file }: CommonOptions): string {
  return file ?? (process.env.API_KEYS_FILE || 'api-keys.yml');
}

function print(options: CommonOptions, json: unknown, text: () => string): void {
  console.log(options.json ? JSON.stringify(json) : text());
}

function wrong(message: string): AppError {
  return new AppError('invalid_field', message);
}
