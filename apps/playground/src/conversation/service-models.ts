/**
 * The service's models as the page knows them: asked for at the start, when the key changes, when the page is looked at again, and every
 * few seconds while the service cannot say.
 */
import { listModels, type Model } from '../api/models.ts';
import { type Problem, ServiceError } from '../api/service-error.ts';
import { apiKeyStore } from './chosen.ts';
import { ExternalStore } from './external-store.ts';

export interface ServiceModels {
  /** The last that were told, also while a newer question fails. */
  readonly models: readonly Model[];
  readonly problem: Problem | null;
  readonly asked: boolean;
}

const LOOK_AGAIN_MILLISECONDS = 3_000;

export const modelsStore = new ExternalStore<ServiceModels>({ models: [], problem: null, asked: false });

let latest = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

export async function refreshModels(): Promise<void> {
  clearTimeout(timer);
  const mine = ++latest;
  const answered = await ask();
  // A later question, with another key perhaps, has the last word.
  if (mine !== latest) return;
  modelsStore.set({ models: modelsStore.get().models, ...answered, asked: true });
  const { problem } = answered;
  if (problem !== null && problem.kind !== 'unauthorized') timer = setTimeout(refreshModels, LOOK_AGAIN_MILLISECONDS);
}

async function ask(): Promise<{ models?: readonly Model[]; problem: Problem | null }> {
  try {
    return { models: await listModels({ apiKey: apiKeyStore.get() }), problem: null };
  } catch (error) {
    if (error instanceof ServiceError) return { problem: error.problem };
    const message = `the list of models could not be read: ${error instanceof Error ? error.message : String(error)}`;
    return { problem: { kind: 'failed', message, retryAfter: null } };
  }
}

export function followModels(): void {
  void refreshModels();
  apiKeyStore.subscribe(() => void refreshModels());
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') void refreshModels();
  });
}
