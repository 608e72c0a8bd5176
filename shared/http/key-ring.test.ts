/** Which keys open the service, whom they stand for, and until when. */
import { createHash } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { KeyRing } from './key-ring.ts';
import { EVERYBODY, hasScope, mayAccess, PASSER_BY } from './principal.ts';

function entry(name: string, key: string, more: object = {}) {
  return { name, sha256: createHash('sha256').update(key).digest('hex'), scopes: ['infer' as const], ...more };
}

describe('a key ring', () => {
  it('without keys is not locked; with an empty file it is', () => {
    const ring = new KeyRing(null);
    expect(ring.isLocked).toBe(false);
    ring.replaceFile([]);
    expect(ring.isLocked).toBe(true);
    expect(() => ring.identify('anything')).toThrow(expect.objectContaining({ code: 'unauthorized' }));
  });

  it('knows the key of the environment and those of a file, until the file is another', () => {
    const ring = new KeyRing('mine');
    ring.replaceFile([entry('a', 'key-a', { requests_per_minute: 3 }), entry('b', 'key-b')]);
    expect(ring.identify('mine')).toMatchObject({ name: 'environment', scopes: ['admin'] });
    expect(ring.identify('key-a')).toMatchObject({ name: 'a', scopes: ['infer'], requestsPerMinute: 3 });
    expect(ring.identify('key-b')).toMatchObject({ name: 'b' });
    ring.replaceFile([entry('b', 'key-b')]);
    for (const key of ['key-a', 'key-b ', '', 'x'.repeat(100_000), '\u0000']) {
      expect(() => ring.identify(key)).toThrow(expect.objectContaining({ code: 'unauthorized' }));
    }
    expect(ring.identify('mine').name).toBe('environment');
  });

  it('refuses a key from its expiry on', () => {
    vi.useFakeTimers({ now: new Date('2030-01-01T00:00:00Z') });
    try {
      const ring = new KeyRing(null);
      ring.replaceFile([entry('a', 'key-a', { expires: '2030-01-01T00:00:10Z' })]);
      expect(ring.identify('key-a').name).toBe('a');
      vi.setSystemTime(new Date('2030-01-01T00:00:10Z'));
      expect(() => ring.identify('key-a')).toThrow('this API key expired at 2030-01-01T00:00:10.000Z');
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('what a caller may do', () => {
  const infer = { name: 'app', scopes: ['infer'] as const };
  const admin = { name: 'operator', scopes: ['admin'] as const };

  it('follows from its scopes: admin may all', () => {
    expect([hasScope(infer, 'infer'), hasScope(infer, 'admin')]).toEqual([true, false]);
    expect([hasScope(admin, 'infer'), hasScope(admin, 'admin')]).toEqual([true, true]);
    expect([hasScope(EVERYBODY, 'admin'), hasScope(PASSER_BY, 'infer')]).toEqual([true, false]);
  });

  it("includes what is its own, and for admin what is another's", () => {
    expect([mayAccess(infer, 'app'), mayAccess(infer, 'other'), mayAccess(admin, 'app')]).toEqual([true, false, true]);
    expect(mayAccess(PASSER_BY, 'app')).toBe(false);
  });
});
