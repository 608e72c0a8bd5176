/** What is printed of a run where there is no terminal. */
import { Writable } from 'node:stream';
import type { LoggedEvent } from '@slipway/trainer/runs';
import { expect, it, onTestFinished, vi } from 'vitest';
import { EMPTY_PICTURE } from './run-picture.ts';
import { openRunScreen } from './run-screen.ts';

const VIEW = { name: 'plays', id: 'run-1', hint: '' };

function openPlain() {
  let text = '';
  // Of a terminal's stream only these are used where it is none.
  const stream = Object.assign(
    new Writable({
      write(chunk, _, done) {
        text += String(chunk);
        done();
      },
    }),
    { isTTY: false },
  ) as unknown as NodeJS.WriteStream;
  return { screen: openRunScreen(VIEW, false, stream), printed: () => text };
}

it('is one line of a run that waits behind others', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const { screen, printed } = openPlain();
  screen.show([], EMPTY_PICTURE);
  expect(printed()).toBe('');
  for (let look = 0; look < 3; look++) {
    vi.advanceTimersByTime(10_000);
    screen.show([], EMPTY_PICTURE);
  }
  expect(printed()).toBe('queued: waits for its turn\n');
});

it('is one short line for the newest sample of each prompt', () => {
  const { screen, printed } = openPlain();
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
  screen.show([sample(1, 10, 'b'), sample(2, 20, 'c'), sample(3, 20, 'd')], EMPTY_PICTURE);
  const lines = printed().trimEnd().split('\n');
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/^step 20: ….*Who\?c ⏎ c ⏎ .*…$/);
  expect(lines[1]).toMatch(/^step 20: ….*Who\?d ⏎ d ⏎ .*…$/);
  for (const line of lines) expect(line).toHaveLength(100);
});

it('leaves what is never tried again to the outcome', () => {
  const { screen, printed } = openPlain();
  const failure = (id: number, kind: 'user_input' | 'crashed'): LoggedEvent => {
    return {
      id,
      at: new Date(0).toISOString(),
      type: 'failure',
      class: kind,
      message: 'so it is',
      step: null,
      example: null,
    };
  };
  screen.show([failure(1, 'crashed'), failure(2, 'user_input')], EMPTY_PICTURE);
  expect(printed()).toBe('failure (crashed): so it is\n');
});
