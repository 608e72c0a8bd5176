import { describe, expect, it } from 'vitest';
import { admit, clampNewTokens, expectedSeconds, promptLimit, UNKNOWN_PACE, updatePace } from './admission.ts';

describe('what fits the context', () => {
  it('cuts the prompt to the limit and leaves room for the answer', () => {
    expect(promptLimit(64, { maxPromptTokens: 2048, contextLength: 8192 })).toBe(2048);
    expect(promptLimit(64, { maxPromptTokens: 2048, contextLength: 1024 })).toBe(960);
    expect(promptLimit(0, { maxPromptTokens: 2048, contextLength: 64 })).toBe(63);
  });

  it('keeps half the context for the prompt, and clamps the answer to the rest', () => {
    expect(promptLimit(512, { maxPromptTokens: 2048, contextLength: 512 })).toBe(256);
    expect(clampNewTokens(512, 256, 512)).toBe(256);
    expect(clampNewTokens(512, 10, 512)).toBe(502);
    expect(clampNewTokens(64, 10, 512)).toBe(64);
  });
});

describe('the pace', () => {
  const work = { promptTokens: 100, maxNewTokens: 50, sequences: 1 };

  it('takes the first observation as it is and averages later ones', () => {
    const first = updatePace(UNKNOWN_PACE, { work, prefillSeconds: 1, decodeSeconds: 4.9, generatedTokens: 50 }, 16);
    expect(first).toEqual({ secondsPerPromptToken: 0.01, secondsPerStep: 0.1, usedShare: 1 });
    expect(expectedSeconds(work, first, 16)).toBeCloseTo(6);
    const second = updatePace(first, { work, prefillSeconds: 2, decodeSeconds: 0, generatedTokens: 1 }, 16);
    expect(second.secondsPerPromptToken).toBeCloseTo(0.012);
    expect(second.secondsPerStep).toBe(0.1);
    expect(second.usedShare).toBeCloseTo(0.804);
  });

  it('knows that ten sequences in one slot take ten rounds', () => {
    const pace = { secondsPerPromptToken: 0, secondsPerStep: 0.1, usedShare: 1 };
    expect(expectedSeconds({ ...work, sequences: 10 }, pace, 1)).toBeCloseTo(50);
    expect(expectedSeconds({ ...work, sequences: 10 }, pace, 16)).toBeCloseTo(5);
  });
});

describe('admit', () => {
  const busy = { permits: 2, requests: 4, queueLimit: 8, secondsAhead: 40 };

  it('lets in whoever finds a free permit, however slow the pace looks', () => {
    expect(admit({ ...busy, requests: 1 }, { expectedSeconds: 1000, secondsToDeadline: 60 })).toEqual({
      kind: 'admit',
    });
  });

  it('lets wait who can be done in time and refuses who cannot, saying when it would', () => {
    expect(admit(busy, { expectedSeconds: 40, secondsToDeadline: 60 })).toEqual({ kind: 'admit' });
    expect(admit(busy, { expectedSeconds: 47, secondsToDeadline: 60 })).toEqual({
      kind: 'refuse',
      why: 'too_late',
      retryAfter: 7,
    });
  });

  it('refuses when the queue is full, with a wait from 1 to 60 seconds', () => {
    const full = { ...busy, requests: 10 };
    expect(admit(full, { expectedSeconds: 0, secondsToDeadline: 60 })).toEqual({
      kind: 'refuse',
      why: 'queue_full',
      retryAfter: 3,
    });
    const swamped = { ...full, secondsAhead: 1e6 };
    expect(admit(swamped, { expectedSeconds: 0, secondsToDeadline: 60 })).toMatchObject({ retryAfter: 60 });
    const idle = { ...full, secondsAhead: 0 };
    expect(admit(idle, { expectedSeconds: 0, secondsToDeadline: 60 })).toMatchObject({ retryAfter: 1 });
  });
});
