/** What is printed of a run where there is no terminal. */
import { Writable } from 'node:stream';
import type { LoggedEvent } from '@slipway/trainer/runs';
import { expect, it } from 'vitest';
import { EMPTY_PICTURE } from './run-picture.ts';
import { openRunScreen } from './run-screen.ts';

it('is one short line for the newest sample of each prompt', () => {
  let printed = '';
  // Of a terminal's stream only these are used where it is none.
  const stream = Object.assign(
    new Writable({
      write(chunk, _, done) {
        printed += String(chunk);
        done();
      },
    }),
    { isTTY: false },
  ) as unknown as NodeJS.WriteStream;
  const view = {
    name: 'plays',
    id: 'run-1',
    hint: '',
  };
  const at = new Date(0).toISOString();
  const sample = (id: number, step: number, letter: string): LoggedEvent => {
    return {
      id,
      at,
      type: 'sample',
      step,
      prompt: [1],
      prompt_text: 'Long before. Who?'.repeat(9),
      ids: [2],
      text: `${`${letter}\n\n`.repeat(100)}\x1b[2J`,
      ended: false,
    };
  };
  openRunScreen(view, false, stream).show([sample(1, 10, 'b'), sample(2, 20, 'c'), sample(3, 20, 'd')], EMPTY_PICTURE);
  const lines = printed.trimEnd().split('\n');
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/^step 20: ….*Who\?c ⏎ c ⏎ .*…$/);
  expect(lines[1]).toMatch(/^step 20: ….*Who\?d ⏎ d ⏎ .*…$/);
  for (const line of lines) expect(line).toHaveLength(100);
});
