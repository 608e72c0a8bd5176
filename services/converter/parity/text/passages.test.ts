import { expect, it } from 'vitest';
import { readPassages } from './passages.ts';

it('judges on none of the text it tunes on', async () => {
  const parity = await readPassages('parity');
  const calibration = await readPassages('calibration');
  expect(parity.length).toBeGreaterThan(15);
  expect(calibration.length).toBeGreaterThan(15);
  const sentences = (passages: string[]): string[] =>
    passages
      .join('\n')
      .split(/[.\n]/)
      .map((sentence) => sentence.trim())
      .filter((sentence) => sentence.length > 20);
  const tuned = new Set(sentences(calibration));
  expect(sentences(parity).filter((sentence) => tuned.has(sentence))).toEqual([]);
});
