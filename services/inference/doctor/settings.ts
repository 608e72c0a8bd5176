/**
 * Whether what the settings name is there and in order: the port, the data folder, the keys, the time for draining. Knows no model.
 */
import { access, constants, readFile, stat, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, resolve } from 'node:path';
import { parseKeysFile } from '@slipway/shared/contracts/api-keys.ts';
import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { isLoopback } from '@slipway/shared/lib/is-loopback.ts';
import { advice, type Finding, ok, problem } from './finding.ts';
import { judgeDisk } from './machine.ts';

/** What the service needs after the last request has been answered. */
const LEAVING_SECONDS = 5;

export async function checkPort({ host, port }: ServiceConfig): Promise<Finding> {
  const place = `${host}:${port}`;
  const code = await new Promise<string | undefined>((settle) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
    server.listen(port, host, () => server.close(() => settle(undefined)));
  });
  if (code === undefined) return ok('port', `${place} is free`);
  if (code === 'EADDRINUSE') {
    return problem(
      'port',
      `${place} is taken by another process`,
      `End it (ss -ltnp 'sport = :${port}' names it), or set PORT.`,
    );
  }
  if (code === 'EACCES') return problem('port', `this user may not listen on ${place}`, 'Set PORT to 1024 or above.');
  return problem(
    'port',
    `nothing can listen on ${place} (${code})`,
    'Set HOST to an address of this machine, or to 0.0.0.0 for all.',
  );
}

export async function checkDataFolder({ dataFolder }: ServiceConfig): Promise<Finding> {
  const folder = resolve(dataFolder);
  const there = await nearestExisting(folder);
  try {
    await access(there, constants.W_OK);
  } catch {
    return problem(
      'disk',
      `${folder} cannot be written to by this user`,
      `Make it this user's (chown), mount a volume there, or set DATA_FOLDER to a folder that can be written to.`,
    );
  }
  const { bavail, bsize } = await statfs(there);
  return judgeDisk(folder, bavail * bsize);
}

/** The service makes the folder itself when it first needs it. */
async function nearestExisting(folder: string): Promise<string> {
  for (let place = folder; ; place = dirname(place)) {
    const found = await stat(place).catch(() => undefined);
    if (found !== undefined || place === dirname(place)) return place;
  }
}

export async function checkKeys({ apiKey, apiKeysFile, host }: ServiceConfig): Promise<Finding> {
  if (apiKeysFile !== null) return checkKeysFile(apiKeysFile);
  if (apiKey !== null) {
    if (apiKey.length >= 16) return ok('keys', 'API_KEY is asked for');
    return advice('keys', 'API_KEY is short enough to be guessed', 'Make a long one: openssl rand -hex 32');
  }
  if (isLoopback(host)) return ok('keys', 'none is asked for, and only this machine can reach the service');
  return advice(
    'keys',
    `none is asked for: whoever reaches ${host} may use the service`,
    'Set API_KEY, or make a file of keys: slipway keys create NAME, and API_KEYS_FILE=api-keys.yml',
  );
}

const READABLE_OR_WRITABLE_BY_OTHERS = 0o066;

async function checkKeysFile(path: string): Promise<Finding> {
  try {
    const entries = await parseKeysFile(await readFile(path, 'utf8'), path);
    const { mode } = await stat(path);
    if ((mode & READABLE_OR_WRITABLE_BY_OTHERS) !== 0) {
      return advice(
        'keys',
        `others may read or write ${path} (mode ${(mode & 0o777).toString(8)})`,
        `chmod 600 ${path}`,
      );
    }
    if (entries.length === 0) {
      return problem(
        'keys',
        `${path} holds no key, so that nobody may call`,
        `slipway keys create NAME --file ${path}`,
      );
    }
    return ok('keys', `${entries.length} in ${path}`);
  } catch (error) {
    if (error instanceof AppError)
      return problem('keys', error.message, 'Mend that entry, or revoke the key and make another.');
    const reason = error instanceof Error ? error.message : String(error);
    return problem(
      'keys',
      `the file of keys cannot be read: ${reason}`,
      `slipway keys create NAME --file ${path} makes one.`,
    );
  }
}

/** `grace`: seconds between SIGTERM and SIGKILL on the platform; null when nobody has told. */
export function judgeDraining({ drainSeconds, timeoutSeconds }: ServiceConfig, grace: number | null): Finding {
  if (drainSeconds < timeoutSeconds) {
    return advice(
      'draining',
      `requests may take ${timeoutSeconds} s and get ${drainSeconds} s when the service is told to end: long ones are cut off`,
      `Set DRAIN_SECONDS to ${timeoutSeconds}, or lower TIMEOUT_SECONDS.`,
    );
  }
  const needed = drainSeconds + LEAVING_SECONDS;
  if (grace === null)
    return ok(
      'draining',
      `${drainSeconds} s; the platform must wait ${needed} s or longer before it kills (--grace SECONDS checks that)`,
    );
  if (grace >= needed) return ok('draining', `${drainSeconds} s, and the platform waits ${grace} s`);
  return problem(
    'draining',
    `it takes up to ${drainSeconds} s, and the platform kills after ${grace} s: requests in flight would be lost`,
    `Let the platform wait ${needed} s (maxShutdownDelaySeconds, drainingSeconds, stop_grace_period, terminationGracePeriodSeconds), or lower DRAIN_SECONDS and TIMEOUT_SECONDS.`,
  );
}
