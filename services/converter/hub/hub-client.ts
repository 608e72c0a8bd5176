/**
 * What a Hugging Face hub says of a repository: its commit and its files. Over @huggingface/hub, with a fetch of ours beneath it that
 * waits, tries again and says in words what went wrong. Owns the token, which it never tells.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { listFiles, modelInfo } from '@huggingface/hub';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { z } from 'zod';
import { failureOf, PassingFailure, type Patience, pauseBefore } from './retry.ts';
import type { HubFile } from './select-files.ts';

export interface Hub {
  /** Without a slash at the end. */
  readonly endpoint: string;
  readonly token: string | null;
  readonly patience: Patience;
  readonly signal: AbortSignal;
  /** Told before each wait, in words. */
  readonly onWait: (why: string, milliseconds: number) => void;
}

export interface HubRepository {
  /** The commit that the revision names now: all files are fetched from it. */
  readonly commit: string;
  readonly files: readonly HubFile[];
}

const Commit = z.object({ sha: z.string().regex(/^[0-9a-f]{40,64}$/) });
const Entry = z.object({
  type: z.string(),
  path: z.string().min(1).max(512),
  size: z.number().int().nonnegative(),
  oid: z.string().regex(/^[0-9a-f]{40}$/),
  lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.number().int().nonnegative() }).nullish(),
});
const MOST_FILES = 20_000;

/** AppError unauthorized, not_found or source_unavailable. */
export async function describeRepository(hub: Hub, repository: string, revision: string): Promise<HubRepository> {
  const hubUrl = hub.endpoint;
  const what = revision === 'main' ? repository : `${repository} at ${revision}`;
  const fetchOfOurs = fetchFor(hub, what);
  return understood(hub, async () => {
    const info = await modelInfo({
      name: repository,
      revision,
      hubUrl,
      fetch: fetchOfOurs,
      additionalFields: ['sha'],
    });
    const { sha } = Commit.parse(info);
    const files: HubFile[] = [];
    const repo = { type: 'model', name: repository } as const;
    for await (const listed of listFiles({ repo, revision: sha, recursive: true, hubUrl, fetch: fetchOfOurs })) {
      if (listed.type !== 'file') continue;
      const { path, size, oid, lfs } = Entry.parse(listed);
      files.push(
        lfs
          ? { path, bytes: lfs.size, digest: { kind: 'sha256', hex: lfs.oid } }
          : { path, bytes: size, digest: { kind: 'git-sha1', hex: oid } },
      );
      if (files.length > MOST_FILES) throw new AppError('unsupported_source', `${what} has too many files`);
    }
    return { commit: sha, files };
  });
}

/**
 * Runs `attempt` until it succeeds or fails for good. An attempt that brought something, as `progressed` says, begins the count anew.
 */
export async function persistently<T>(
  hub: Hub,
  attempt: () => Promise<T>,
  progressed: () => boolean = () => false,
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      hub.signal.throwIfAborted();
      if (!(error instanceof PassingFailure)) throw error;
      if (progressed()) failures = 1;
      const pause = pauseBefore(failures, error, hub.patience);
      if (failures >= hub.patience.attempts) throw gaveUp(hub, error, failures);
      hub.onWait(error.message, pause);
      await sleep(pause, undefined, { signal: hub.signal }).catch(() => hub.signal.throwIfAborted());
    }
  }
}

function gaveUp({ endpoint }: Hub, error: PassingFailure, attempts: number): AppError {
  return new AppError(
    'source_unavailable',
    `${endpoint} cannot be used: ${error.message}, ${attempts} times in a row. Check the network (HF_ENDPOINT names another hub) and run the same command again: what has been downloaded is kept`,
    { cause: error },
  );
}

/** The package's own credentials are not used: they refuse tokens of other hubs. */
function fetchFor(hub: Hub, what: string): typeof fetch {
  return (input, init) =>
    persistently(hub, async () => {
      const headers = new Headers(init?.headers);
      headers.set('user-agent', 'slipway');
      const { origin } = new URL(input instanceof Request ? input.url : input);
      // Pages of a listing are linked by the answers, which could name any address.
      if (hub.token !== null && origin === new URL(hub.endpoint).origin) {
        headers.set('authorization', `Bearer ${hub.token}`);
      }
      const signal = AbortSignal.any([hub.signal, AbortSignal.timeout(hub.patience.stall)]);
      let response: Response;
      try {
        response = await fetch(input, { ...init, headers, signal });
      } catch (error) {
        throw new PassingFailure(`it does not answer (${reasonOf(error)})`, undefined, error);
      }
      if (response.ok) return response;
      await response.body?.cancel();
      throw failureOf(response.status, (name) => response.headers.get(name), what, hub.token !== null);
    });
}

/** Whatever else the package throws means that this is no hub, or a page of a proxy. */
async function understood<T>(hub: Hub, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    hub.signal.throwIfAborted();
    if (error instanceof AppError) throw error;
    throw new AppError(
      'source_unavailable',
      `${hub.endpoint} does not answer as a Hugging Face hub does (${reasonOf(error)}); check HF_ENDPOINT`,
      { cause: error },
    );
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (cause instanceof Error) return 'code' in cause ? `${cause.code}` : cause.message;
  return error.message.split('\n', 1)[0]?.slice(0, 200) ?? '';
}
