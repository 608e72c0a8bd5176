/**
 * What the browser keeps: the conversation and the settings until they are cleared, the API key until the tab is closed. What cannot be
 * read, because it is of another version or was edited, counts as not there.
 */
import * as z from 'zod/mini';
import { interrupted, Turn, type Turns } from './conversation.ts';
import { DEFAULT_PREFERENCES, Preferences } from './preferences.ts';

const CONVERSATION = 'slipway.conversation';
const PREFERENCES = 'slipway.preferences';
const API_KEY = 'slipway.api-key';

/** Browsers keep five million characters. */
const MOST_CHARACTERS = 2_500_000;

export function loadTurns(): Turns {
  const parsed = z.array(Turn).safeParse(read(localStorage, CONVERSATION));
  return parsed.success ? interrupted(parsed.data) : [];
}

export function saveTurns(turns: Turns): void {
  write(localStorage, CONVERSATION, fitting(turns, MOST_CHARACTERS));
}

export function loadPreferences(): Preferences {
  const parsed = Preferences.safeParse(read(localStorage, PREFERENCES));
  // On a narrow screen the settings would lie over the conversation.
  return parsed.success
    ? parsed.data
    : { ...DEFAULT_PREFERENCES, showSettings: matchMedia('(width >= 60rem)').matches };
}

export function savePreferences(preferences: Preferences): void {
  write(localStorage, PREFERENCES, JSON.stringify(preferences));
}

export function loadApiKey(): string {
  const parsed = z.string().safeParse(read(sessionStorage, API_KEY));
  return parsed.success ? parsed.data : '';
}

export function saveApiKey(apiKey: string): void {
  write(sessionStorage, API_KEY, JSON.stringify(apiKey));
}

/** As JSON. The oldest answers lose their probabilities first, then the oldest turns go. */
export function fitting(turns: Turns, mostCharacters: number): string {
  let kept = turns;
  let json = JSON.stringify(kept);
  for (let index = 0; json.length > mostCharacters && index < turns.length; index++) {
    kept = kept.map((turn, at) => (at === index ? withoutTokens(turn) : turn));
    json = JSON.stringify(kept);
  }
  while (json.length > mostCharacters && kept.length > 0) {
    kept = kept.slice(1);
    json = JSON.stringify(kept);
  }
  return json;
}

function withoutTokens(turn: Turn): Turn {
  return { ...turn, answers: turn.answers.map((answer) => (answer === null ? null : { ...answer, tokens: [] })) };
}

function read(storage: Storage, key: string): unknown {
  try {
    return JSON.parse(storage.getItem(key) ?? 'null');
  } catch {
    return null;
  }
}

/** A browser that keeps nothing (private windows, full disks) still shows the page; a reload begins anew. */
function write(storage: Storage, key: string, value: string): void {
  try {
    storage.setItem(key, value);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}
