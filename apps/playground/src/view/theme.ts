/**
 * Light or dark: as the system has it, or as the reader has chosen. The colours are in the style sheets.
 */
import { preferencesStore } from '../conversation/chosen.ts';

export function followTheme(): void {
  apply();
  preferencesStore.subscribe(apply);
}

function apply(): void {
  document.documentElement.dataset.theme = preferencesStore.get().theme;
}
