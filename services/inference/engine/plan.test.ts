import { describe, expect, it } from 'vitest';
import { chunkEnd, type PlanLimits, type PlannedSequence, type PlanState, planStep } from './plan.ts';
import type { SlotContents } from './prefix-cache.ts';

interface Named extends PlannedSequence {
  readonly name: string;
}

const limits: PlanLimits = { chunkWhileDecoding: 128, chunkAlone: 512, chunkWithLogits: 64, spareSlots: 1 };

/** Prompts of different names share nothing. */
function tokensOf(name: string, length: number): number[] {
  return Array.from({ length }, (_, i) => (name.codePointAt(0) ?? 0) * 1000 + i);
}

function sequence(name: string, length: number, more: Partial<Named> = {}): Named {
  const prompt = tokensOf(name, length);
  return {
    name,
    prompt,
    deadline: Infinity,
    cancelled: false,
    isPaused: false,
    remaining: 100,
    needsPromptLogits: false,
    slot: undefined,
    ...more,
  };
}

/** `a:40` is sequence a with 40 positions filled; `-` is an empty slot. Running sequences are those of the given names. */
function makeState(
  slotTexts: readonly string[],
  running: readonly Named[],
  waiting: readonly Named[] = [],
  promptWork = 0,
): PlanState<Named> {
  const slots: SlotContents[] = slotTexts.map((text, usedAt) => {
    const [name = '', filled = '0'] = text.split(':');
    return { tokens: tokensOf(name, Number(filled)), shareable: Number(filled), usedAt };
  });
  const slotOf = (name: string) => slotTexts.findIndex((text) => text.startsWith(`${name}:`));
  return {
    waiting,
    running: running.map((other) => ({ ...other, slot: slotOf(other.name) })),
    slots,
    promptWork,
    peakSlots: slots.length,
  };
}

function describePlan(state: PlanState<Named>, now = 0): string {
  const { ended, admitted, moved, copies, run } = planStep(state, limits, now);
  const words = [
    ...ended.map((end) => `${end.reason} ${end.sequence.name}`),
    ...copies.map((copy) => `copy ${copy.from}>${copy.to} ${copy.length}`),
    ...(admitted ? [`admit ${admitted.sequence.name}@${admitted.slot} ${admitted.shared}`] : []),
    ...(moved ? [`move ${moved.sequence.name}@${moved.slot}`] : []),
  ];
  if (run.type === 'prefill') words.push(`prefill ${run.sequence.name}@${run.slot} ${run.start}-${run.end}`);
  else if (run.type === 'decode') words.push(`decode ${run.rows.map((row) => row?.name ?? '-').join('')}`);
  else words.push('idle');
  return words.join(', ');
}

describe('planStep', () => {
  const [a, b, c] = [sequence('a', 40), sequence('b', 300), sequence('c', 20)];

  it('idles without work and admits the oldest', () => {
    expect(describePlan(makeState(['-', '-'], []))).toBe('idle');
    expect(describePlan(makeState(['-', '-'], [], [b, a]))).toBe('admit b@0 0, prefill b@0 0-300');
    expect(describePlan(makeState(['a:40', 'c:20'], [a, c], [b]))).toBe('decode ac');
  });

  it('gives large chunks when nothing decodes, small ones otherwise', () => {
    const long = sequence('l', 2000);
    expect(describePlan(makeState(['l:512', '-'], [long]))).toBe('prefill l@0 512-1024');
    expect(describePlan(makeState(['a:41', 'l:512'], [a, long]))).toBe('prefill l@1 512-640');
  });

  it('alternates prompt chunks with decode steps', () => {
    expect(describePlan(makeState(['a:41', 'b:128'], [a, b], [], 128))).toBe('decode a');
    expect(describePlan(makeState(['a:41', 'b:128'], [a, b], [], 0))).toBe('prefill b@1 128-256');
  });

  it('puts several short prompts between two decode steps', () => {
    expect(describePlan(makeState(['a:41', '-', '-'], [a], [c], 60))).toBe('admit c@1 0, prefill c@1 0-20');
    expect(describePlan(makeState(['a:41', '-', '-'], [a], [c], 120))).toBe('decode a');
  });

  it('ends the cancelled and the late wherever they are, and gives their place away at once', () => {
    const gone = { ...sequence('g', 10), cancelled: true };
    const late = { ...sequence('t', 10), deadline: 5 };
    expect(describePlan(makeState(['g:12', 't:4'], [gone, late], [{ ...late, name: 'w' }, a]), 5)).toBe(
      'cancelled g, timeout t, timeout w, admit a@0 0, prefill a@0 0-40',
    );
    expect(describePlan(makeState(['t:4', '-'], [late]), 4)).toBe('prefill t@0 4-10');
  });

  it('closes a hole by moving the last slot, and saves what the hole still holds', () => {
    expect(describePlan(makeState(['-', 'b:300', 'c:20'], [b, c]))).toBe('copy 2>0 20, move c@0, decode cb');
    expect(describePlan(makeState(['x:64', 'b:300', 'c:20', '-'], [b, c]))).toBe(
      'copy 0>3 64, copy 2>0 20, move c@0, decode cb',
    );
  });

  it('computes a hole when a copy costs more, or somebody is about to fill it', () => {
    const nearEnd = { ...b, remaining: 2 };
    expect(describePlan(makeState(['-', 'b:300'], [nearEnd]))).toBe('decode -b');
    expect(describePlan(makeState(['-', 'b:300'], [b], [c], 128))).toBe('decode -b');
    expect(describePlan(makeState(['c:10', 'b:300'], [c, b], [], 128))).toBe('decode -b');
  });

  it('starts from what an ended sequence left', () => {
    const longer = { ...sequence('x', 80), name: 'X' };
    expect(describePlan(makeState(['x:64', '-'], [], [longer]))).toBe('admit X@0 64, prefill X@0 64-80');
    expect(describePlan(makeState(['a:41', '-', 'x:64'], [a], [longer]))).toBe(
      'copy 2>1 64, admit X@1 64, prefill X@1 64-80',
    );
  });
});

describe('chunkEnd', () => {
  it('cuts no prompt so that a row is computed alone', () => {
    for (let length = 2; length < 300; length++) {
      for (const chunk of [1, 3, 31, 32, 33, 34, 65, 128, 512]) {
        for (let start = 0; start < length; ) {
          const end = chunkEnd(start, length, chunk);
          expect((end - start) % 32, `${start}-${end} of ${length} by ${chunk}`).not.toBe(1);
          expect(end - start).toBeLessThanOrEqual(Math.max(chunk, 3));
          start = end;
        }
      }
    }
  });

  it('takes whole chunks where it can, and the only token of a prompt', () => {
    expect(chunkEnd(0, 2000, 512)).toBe(512);
    expect(chunkEnd(512, 640, 128)).toBe(640);
    expect(chunkEnd(0, 129, 128)).toBe(127);
    expect(chunkEnd(0, 1, 512)).toBe(1);
  });
});
