/**
 * The bundled texts as passages: what versions are judged on and, apart from it, what may be tuned on. Knows no tokens.
 */
import { readFile } from 'node:fs/promises';

/** `parity` judges a version; `calibration` is for scales and rounding. They share no passage. */
export async function readPassages(text: 'parity' | 'calibration'): Promise<string[]> {
  const whole = await readFile(new URL(`./${text}.txt`, import.meta.url), 'utf8');
  return whole.split('\n----\n').map((passage) => passage.trimEnd());
}
