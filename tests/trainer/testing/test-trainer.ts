/**
 * A whole trainer on the loopback interface for tests: real HTTP, a real queue, real runs, and a kernel that speaks the real protocol and
 * trains nothing.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadTrainerConfig, type TrainerConfig } from '@slipway/shared/contracts/trainer-config.ts';
import { createLogger, silence } from '@slipway/shared/lib/log.ts';
import type { ServeVersion } from '@slipway/trainer/evaluation';
import { onTestFinished } from 'vitest';
import { startTrainer } from '../../../services/trainer/http/service.ts';
import { fakeStages } from '../../../services/trainer/runs/testing/fake-stages.ts';

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape, right and wrong.
  readonly body: any;
}

/** Folders of a trainer, with a text to train on and a base to go on from; gone when the test ends, or by `afterAll` when all have. */
export function newFolders(onEnd: (clear: () => void) => void = onTestFinished) {
  const root = mkdtempSync(join(tmpdir(), 'slipway-trainer-'));
  onEnd(() => rmSync(root, { recursive: true, force: true }));
  const folders = { root, data: join(root, 'data'), corpus: join(root, 'corpus'), models: join(root, 'models') };
  mkdirSync(join(folders.corpus, 'plays'), { recursive: true });
  mkdirSync(join(folders.models, 'org/tiny'), { recursive: true });
  writeFileSync(join(folders.corpus, 'plays/one.txt'), 'To be\n');
  writeFileSync(join(folders.corpus, 'plays/two.txt'), 'or not\n');
  writeFileSync(join(folders.models, 'org/tiny/config.json'), '{}');
  writeFileSync(join(root, 'secret.txt'), 'nobody reads this');
  return folders;
}

export type Folders = ReturnType<typeof newFolders>;

export function configOf(folders: Folders, changes: Partial<TrainerConfig> = {}): TrainerConfig {
  return {
    ...loadTrainerConfig({}),
    port: 0,
    host: '127.0.0.1',
    dataFolder: folders.data,
    bucketUrl: join(folders.root, 'bucket'),
    dataRoots: [folders.corpus],
    modelRoots: [folders.models],
    ...changes,
  };
}

/** `kernel`: the configuration of the fake kernel. */
export async function startTestTrainer(
  folders: Folders,
  {
    config = {},
    kernel = {},
    serve,
    leaseMilliseconds = 1000,
  }: {
    config?: Partial<TrainerConfig>;
    kernel?: Record<string, unknown>;
    serve?: ServeVersion;
    leaseMilliseconds?: number;
  } = {},
) {
  const log = createLogger({ service: 'test', level: 'silent', destination: silence });
  const settings = configOf(folders, config);
  const stages = fakeStages(settings.dataFolder, kernel);
  return startTrainer({ config: settings, log, stages, serve, leaseMilliseconds });
}

/** A trainer with two keys that may train; `as` is what a request of each carries. Closed when the test ends. */
export async function startGuardedTrainer(folders: Folders) {
  const keys = ['hers', 'his'].map((name) => ({
    name,
    sha256: createHash('sha256').update(name.repeat(16)).digest('hex'),
    scopes: ['train'],
  }));
  const apiKeysFile = join(folders.root, 'keys.json');
  writeFileSync(apiKeysFile, JSON.stringify({ keys }), { mode: 0o600 });
  const { url, close } = await startTestTrainer(folders, { config: { apiKeysFile } });
  onTestFinished(close);
  return { url, as: (key: 'hers' | 'his') => ({ authorization: `Bearer ${key.repeat(16)}` }) };
}

export async function ask(url: string, path: string, init: RequestInit = {}): Promise<Answered> {
  const response = await fetch(url + path, init);
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') ?? false;
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined };
}

export const post = (url: string, path: string, body = '', headers: Record<string, string> = {}) =>
  ask(url, path, { method: 'POST', body, headers });

export function recipe(changes: string = ''): string {
  return `
name: tiny
model: { scratch: { family: gpt2, layers: 1, heads: 1, hidden_size: 8, context_length: 8 } }
tokenizer: { kind: character }
data: { train: plays/*.txt }
training: { max_steps: 30, checkpoint_every: 10, log_every: 1 }
${changes}`;
}
