import { describe, expect, it } from 'vitest';
import { commonPrefix, placeSequence, type SlotContents } from './prefix-cache.ts';

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const slot = (tokens: number[], usedAt = 0, shareable = tokens.length): SlotContents => ({ tokens, shareable, usedAt });
const empty = slot([]);
const nobody = new Set<number>();

it('commonPrefix ends at the first difference or the shorter end', () => {
  expect(commonPrefix([1, 2, 3], [1, 2, 4])).toBe(2);
  expect(commonPrefix([1, 2], [1, 2, 4])).toBe(2);
  expect(commonPrefix([], [1])).toBe(0);
});

describe('placeSequence', () => {
  it('takes the lowest free slot', () => {
    expect(placeSequence([1, 2], [empty, empty], new Set([0]), 2)).toEqual({ slot: 1, shared: 0, copies: [] });
    expect(placeSequence([1, 2], [empty, empty], new Set([0, 1]), 2)).toBeUndefined();
  });

  it('always leaves the last two prompt tokens to be computed', () => {
    const prompt = range(0, 50);
    expect(placeSequence(prompt, [slot(range(0, 60))], nobody, 1)).toEqual({ slot: 0, shared: 48, copies: [] });
    expect(placeSequence([0], [slot(range(0, 60))], nobody, 1)?.shared).toBe(0);
  });

  it('shares only what was computed as a prompt', () => {
    const prompt = range(0, 50);
    expect(placeSequence(prompt, [slot(range(0, 60), 0, 30)], nobody, 1)?.shared).toBe(30);
    expect(placeSequence(prompt, [slot(range(0, 60), 0, 30), empty], new Set([0]), 2)).toEqual({
      slot: 1,
      shared: 30,
      copies: [{ from: 0, to: 1, length: 30 }],
    });
  });

  it('copies from a live sequence with the same beginning', () => {
    expect(placeSequence(range(0, 50), [slot(range(0, 40)), empty], new Set([0]), 2)).toEqual({
      slot: 1,
      shared: 40,
      copies: [{ from: 0, to: 1, length: 40 }],
    });
  });

  it('does not copy a handful of positions, but keeps them in place', () => {
    expect(placeSequence(range(0, 50), [slot([0, 1, 2, 99]), empty], new Set([0]), 2)?.shared).toBe(0);
    expect(placeSequence(range(0, 50), [slot([0, 1, 2, 99])], nobody, 1)?.shared).toBe(3);
  });

  it('saves what is overwritten to the slot that is missed least', () => {
    const slots = [slot(range(0, 100), 9), slot(range(200, 260), 4), slot(range(300, 360), 2)];
    const save = [{ from: 0, to: 2, length: 100 }];
    expect(placeSequence([7, 7, 7], slots, nobody, 3)).toEqual({ slot: 0, shared: 0, copies: save });
    // A shared system prompt: the rest of the other conversation is saved, and the beginning used where it is.
    expect(placeSequence([...range(0, 30), 7, 7], slots, nobody, 3)).toEqual({ slot: 0, shared: 30, copies: save });
    // Never over what is newer, over the source, or beyond the reach.
    expect(placeSequence([7, 7, 7], [slots[0] ?? empty, slot(range(200, 260), 10)], nobody, 2)?.copies).toEqual([]);
    expect(placeSequence([7, 7, 7], slots, nobody, 2)?.copies).toEqual([{ from: 0, to: 1, length: 100 }]);
    expect(placeSequence(range(300, 380), slots, nobody, 3)?.copies).toEqual([
      { from: 0, to: 1, length: 100 },
      { from: 2, to: 0, length: 60 },
    ]);
  });
});
