import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createProgressBar, createProgressLines } from './progress-bar.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** What a terminal of this width, or a file, would get. */
function output(isTTY: boolean, columns = 120) {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk) => {
    text += chunk;
  });
  // The bar uses of a terminal only what is here.
  const terminal = Object.assign(stream, { isTTY, columns }) as unknown as NodeJS.WriteStream;
  return { terminal, text: () => text, last: () => text.split('\r\x1b[K').at(-1) ?? '' };
}

describe('the progress bar', () => {
  it('says on a terminal how much is done, how fast, and how long it takes still', () => {
    const { terminal, last } = output(true);
    const bar = createProgressBar(terminal);
    const MIB = 2 ** 20;
    // Half was here before: that says nothing of the pace.
    bar.update('downloading', 0.5, { bytes: 50 * MIB, totalBytes: 100 * MIB, files: 1, totalFiles: 4 });
    expect(last()).toBe('downloading  ████████████░░░░░░░░░░░░  50 %  50.0 MiB of 100.0 MiB  1 of 4 files');
    vi.advanceTimersByTime(10_000);
    bar.update('downloading', 0.75, { bytes: 75 * MIB, totalBytes: 100 * MIB, files: 2, totalFiles: 4 });
    expect(last()).toMatch(/ {2}75 % {2}75\.0 MiB of 100\.0 MiB {2}2\.5 MiB\/s {2}2 of 4 files {2}10 s left$/);
    bar.update('downloading', 0.75, { bytes: 75 * MIB, totalBytes: 100 * MIB, waiting: 'the hub is tired' });
    expect(last()).toMatch(/the hub is tired$/);
    bar.end();
    expect(last()).toBe('');
  });

  it('counts lines and tokens', () => {
    const { terminal, last } = output(true);
    createProgressBar(terminal).update('answering', 0.5, { lines: 50, totalLines: 100, tokensPerSecond: 900 });
    expect(last()).toBe('answering    ████████████░░░░░░░░░░░░  50 %  50 of 100 lines  900 tokens/s');
  });

  it('never wraps a line', () => {
    const { terminal, last } = output(true, 50);
    createProgressBar(terminal).update('converting', 0.4, { bytes: 1, tensors: 123_456, waiting: 'x'.repeat(100) });
    expect(last()).toHaveLength(49);
  });

  it('writes one line per phase elsewhere', () => {
    const { terminal, text } = output(false);
    const bar = createProgressBar(terminal);
    for (const part of [0, 0.5, 1]) bar.update('reading', part);
    bar.update('converting', 0);
    bar.end();
    expect(text()).toBe('reading ...\nconverting ...\n');
  });

  it('is JSON lines for programs, each phase from its beginning to its end', () => {
    const { terminal, text } = output(false);
    const lines = createProgressLines(terminal);
    for (const part of [0, 0.1, 0.2]) lines.update('converting', part, { bytes: 10, tensors: 1 });
    vi.advanceTimersByTime(2000);
    lines.update('converting', 0.5, { bytes: 50, tensors: 5 });
    lines.update('converting', 1, { bytes: 100, tensors: 9 });
    expect(
      text()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { event: 'progress', phase: 'converting', part: 0, bytes: 10, tensors: 1 },
      { event: 'progress', phase: 'converting', part: 0.5, bytes: 50, tensors: 5, eta_seconds: 2 },
      { event: 'progress', phase: 'converting', part: 1, bytes: 100, tensors: 9, eta_seconds: 0 },
    ]);
  });

  it('is silent when nobody reads it any more', () => {
    const { terminal, text } = output(false);
    const lines = createProgressLines(terminal);
    lines.update('reading', 0);
    terminal.emit('error', new Error('EPIPE'));
    lines.update('converting', 0);
    expect(text().split('\n')).toHaveLength(2);
  });
});
