/**
 * The service's models as the page knows them: asked for at the start, when the key changes, when the page is looked at again, and every
 * few seconds while the service cannot say. Has one loaded that is not.
 */
import { listModels, loadModel, type Model } from '../api/models.ts';
import { type Problem, problemFrom } from '../api/service-error.ts';
import { apiKeyStore } from './chosen.ts';
import { ExternalStore } from './external-store.ts';

export interface ServiceModels {
  /** The last that were told, also while a newer question fails. */
  readonly models: readonly Model[];
  readonly problem: Problem | null;
  readonly asked: boolean;
  /** Of models that were asked to be loaded: nothing yet, or why they are not. */
  readonly loads: Readonly<Record<string, Problem | null>>;
}

const LOOK_AGAIN_MILLISECONDS = 3_000;

export const modelsStore = new ExternalStore<ServiceModels>({ models: [], problem: null, asked: false, loads: {} });

let latest = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

export async function refreshModels(): Promise<void> {
  clearTimeout(timer);
  const mine = ++latest;
  const answered = await ask();
  // A later question, with another key perhaps, has the last word.
  if (mine !== latest) return;
  modelsStore.set({ ...modelsStore.get(), ...answered, asked: true });
  const { problem } = answered;
  if (problem !== null && problem.kind !== 'unauthorized') timer = setTimeout(refreshModels, LOOK_AGAIN_MILLISECONDS);
}

async function ask(): Promise<{ models?: readonly Model[]; problem: Problem | null }> {
  try {
    return { models: await listModels({ apiKey: apiKeyStore.get() }), problem: null };
  } catch (error) {
    return { problem: problemFrom(error, 'the list of models could not be read') };
  }
}

export async function load(id: string): Promise<void> {
  noteLoad(id, null);
  try {
    await loadModel(id, { apiKey: apiKeyStore.get() });
    await refreshModels();
    const { [id]: _done, ...loads } = modelsStore.get().loads;
    modelsStore.set({ ...modelsStore.get(), loads });
  } catch (error) {
    noteLoad(id, problemFrom(error, 'it could not be loaded'));
  }
}

function noteLoad(id: string, outcome: Problem | null): void {
  const state = modelsStore.get();
  modelsStore.set({ ...state, loads: { ...state.loads, [id]: outcome } });
}

export function followModels(): void {
  void refreshModels();
  apiKeyStore.subscribe(() => void refreshModels());
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') void refreshModels();
  });
}
