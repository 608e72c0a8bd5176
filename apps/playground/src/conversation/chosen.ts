/**
 * What the reader has chosen, kept beyond a reload: preferences by the browser, the API key by the tab only.
 */
import { ExternalStore } from './external-store.ts';
import type { Preferences } from './preferences.ts';
import { loadApiKey, loadPreferences, saveApiKey, savePreferences } from './stored.ts';

export const preferencesStore = new ExternalStore(loadPreferences());
export const apiKeyStore = new ExternalStore(loadApiKey());

export function choose(change: Partial<Preferences>): void {
  const preferences = { ...preferencesStore.get(), ...change };
  preferencesStore.set(preferences);
  savePreferences(preferences);
}

export function setApiKey(apiKey: string): void {
  apiKeyStore.set(apiKey);
  saveApiKey(apiKey);
}
