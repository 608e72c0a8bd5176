import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answerLines, type LineCounts, type LineWork } from './answer-lines.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-answers-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const answers = () => join(folder, 'answers');
const written = () => (existsSync(answers()) ? readFileSync(answers(), 'utf8') : '');

function work(lines: number, more: Partial<LineWork> = {}): LineWork {
  const input = join(folder, 'input');
  writeFileSync(input, Array.from({ length: lines }, (_, index) => `line ${index}\n`).join(''));
  return {
    input,
    answers: answers(),
    mostLineBytes: 1000,
    atOnce: 8,
    recall: (text) => (/^answer \d+$/.test(text) ? false : undefined),
    answer: async ({ index }) => ({ text: `answer ${index}`, isFailure: false, tokens: 1 }),
    onProgress: () => {},
    signal: new AbortController().signal,
    ...more,
  };
}

const whole = (lines: number) => Array.from({ length: lines }, (_, index) => `answer ${index}\n`).join('');

describe('answers', () => {
  it('are in the order of the lines, however late some come, and no more are asked for at once than allowed', async () => {
    let atOnce = 0;
    let most = 0;
    const told: LineCounts[] = [];
    const counts = await answerLines(
      work(300, {
        async answer({ index }) {
          most = Math.max(most, ++atOnce);
          await sleep(index % 50 === 0 ? 20 : index % 3);
          atOnce--;
          return { text: `answer ${index}`, isFailure: index % 10 === 0, tokens: 2 };
        },
        onProgress: (one) => told.push(one),
      }),
    );
    expect(written()).toBe(whole(300));
    expect(counts).toEqual({ done: 300, failed: 30, tokens: 600 });
    expect(told[0]).toEqual({ done: 0, failed: 0, tokens: 0 });
    expect(told.at(-1)).toEqual(counts);
    expect(most).toBe(8);
  });

  it('wait in bounded numbers for a line that takes long', async () => {
    const slow = Promise.withResolvers<void>();
    let asked = 0;
    const running = answerLines(
      work(2000, {
        async answer({ index }) {
          asked++;
          if (index === 0) await slow.promise;
          return { text: `answer ${index}`, isFailure: false, tokens: 0 };
        },
      }),
    );
    await sleep(100);
    expect(asked).toBeLessThanOrEqual(8 * 16);
    expect(written()).toBe('');
    slow.resolve();
    await running;
    expect(written()).toBe(whole(2000));
  });

  it.each([
    ['a whole line', 'answer 0\nanswer 1\n', 2],
    ['a torn line', 'answer 0\nanswer 1\nansw', 2],
    ['a line of which the disk has kept only zeros', 'answer 0\nanswer 1\n\0\0\0\0\n\0\0', 2],
    ['nothing', '', 0],
    ['half of the first', 'ans', 0],
  ])('are gone on with behind %s', async (_, before, done) => {
    writeFileSync(answers(), before);
    const asked: number[] = [];
    await answerLines(
      work(20, {
        async answer({ index }) {
          asked.push(index);
          return { text: `answer ${index}`, isFailure: false, tokens: 0 };
        },
      }),
    );
    expect(written()).toBe(whole(20));
    expect(asked).toEqual(Array.from({ length: 20 - done }, (_, index) => done + index));
  });

  it('that are all there are not asked for again', async () => {
    appendFileSync(answers(), whole(5));
    await answerLines(work(5, { answer: () => Promise.reject(new Error('asked again')) }));
    expect(written()).toBe(whole(5));
  });
});

describe('what goes wrong', () => {
  it('is told once, after all have stopped, and what was answered in order is kept', async () => {
    let running = 0;
    const failing = work(100, {
      async answer({ index }, signal) {
        running++;
        try {
          await sleep(index === 20 ? 1 : 2, undefined, { signal });
        } finally {
          running--;
        }
        if (index === 20) throw new Error('the 21st');
        return { text: `answer ${index}`, isFailure: false, tokens: 0 };
      },
    });
    await expect(answerLines(failing)).rejects.toThrow('the 21st');
    expect(running).toBe(0);
    const kept = written();
    expect(whole(20).startsWith(kept)).toBe(true);
    expect(kept).not.toBe('');
    await answerLines(work(100));
    expect(written()).toBe(whole(100));
  });

  it('may be an interruption, also while answers wait for an earlier one', async () => {
    const stop = new AbortController();
    const hanging = work(2000, {
      signal: stop.signal,
      async answer({ index }, signal) {
        if (index === 3) await sleep(60_000, undefined, { signal });
        return { text: `answer ${index}`, isFailure: false, tokens: 0 };
      },
    });
    setTimeout(() => stop.abort(new Error('interrupted')), 100);
    await expect(answerLines(hanging)).rejects.toThrow('interrupted');
    expect(written()).toBe(whole(3));
    await answerLines(work(2000));
    expect(written()).toBe(whole(2000));
  });
});
