/**
 * What every session store must do, as one suite that each implementation runs. Knows the contract, not where sessions are kept.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { SessionBounds, SessionStore } from './session-store.ts';

const BOUNDS: SessionBounds = { ttlSeconds: 600, maxSessions: 100 };
const KEY = { owner: 'app', id: 'talk' };
const first = { basis: null, revision: 'r1', document: 'one' };

/** `openEmpty` gives a store without sessions, which the caller closes in the end; `reopen` the same sessions after a restart. */
export function sessionStoreConformance(
  kind: string,
  openEmpty: (bounds: SessionBounds) => Promise<{ store: SessionStore; reopen: () => Promise<SessionStore> }>,
): void {
  describe(`${kind}: the session store contract`, () => {
    it('begins empty', async () => {
      const { store } = await openEmpty(BOUNDS);
      expect(await store.read(KEY)).toBeUndefined();
      expect(await store.list('app', 10)).toEqual([]);
      expect(await store.remove(KEY)).toBe(false);
    });

    it('gives back what was written, with its times', async () => {
      const { store } = await openEmpty(BOUNDS);
      const document = 'ü "\\ \u0000 \ud83d\ude00 '.repeat(10_000);
      const before = Date.now();
      await store.write(KEY, { ...first, document });
      const session = await store.read(KEY);
      expect(session).toMatchObject({ id: 'talk', revision: 'r1', document });
      expect(session?.createdAt).toBe(session?.updatedAt);
      expect(Math.abs((session?.createdAt ?? 0) - before)).toBeLessThan(60_000);
      expect(session?.expiresInSeconds).toBeGreaterThan(500);
      expect(session?.expiresInSeconds).toBeLessThanOrEqual(600);
    });

    it('replaces the whole only from the revision that it has', async () => {
      const { store } = await openEmpty(BOUNDS);
      await store.write(KEY, first);
      await store.write(KEY, { basis: 'r1', revision: 'r2', document: 'two' });
      for (const basis of [null, 'r1', 'r3']) {
        const write = store.write(KEY, { basis, revision: 'r9', document: 'other' });
        await expect(write).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('"talk"') });
      }
      expect(await store.read(KEY)).toMatchObject({ revision: 'r2', document: 'two' });
    });

    it('takes the same write twice as one', async () => {
      const { store } = await openEmpty(BOUNDS);
      await store.write(KEY, first);
      await store.write(KEY, first);
      expect(await store.read(KEY)).toMatchObject({ revision: 'r1', document: 'one' });
    });

    it('lets one of many succeed that write at once', async () => {
      const { store } = await openEmpty(BOUNDS);
      await store.write(KEY, first);
      const writes = Array.from({ length: 20 }, (_, index) =>
        store.write(KEY, { basis: 'r1', revision: `w${index}`, document: `by ${index}` }),
      );
      const outcomes = await Promise.allSettled(writes);
      const winner = outcomes.findIndex(({ status }) => status === 'fulfilled');
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(await store.read(KEY)).toMatchObject({ revision: `w${winner}`, document: `by ${winner}` });
    });

    it('does not bring a removed session back', async () => {
      const { store } = await openEmpty(BOUNDS);
      await store.write(KEY, first);
      expect(await store.remove(KEY)).toBe(true);
      expect(await store.read(KEY)).toBeUndefined();
      await expect(store.write(KEY, { ...first, basis: 'r1', revision: 'r2' })).rejects.toMatchObject({
        code: 'conflict',
      });
      await store.write(KEY, { ...first, document: 'anew' });
      expect(await store.read(KEY)).toMatchObject({ document: 'anew' });
    });

    it('keeps owners apart', async () => {
      const { store } = await openEmpty(BOUNDS);
      const other = { ...KEY, owner: 'other' };
      await store.write(KEY, first);
      await store.write(other, { ...first, document: 'theirs' });
      expect((await store.read(KEY))?.document).toBe('one');
      expect((await store.list('other', 10)).map(({ id }) => id)).toEqual(['talk']);
      await store.remove(other);
      expect((await store.read(KEY))?.document).toBe('one');
    });

    it('lists what was written to last first, and no more than asked for', async () => {
      const { store } = await openEmpty(BOUNDS);
      for (const id of ['a', 'b', 'c', 'a']) {
        const basis = (await store.read({ owner: 'app', id }))?.revision ?? null;
        await store.write({ owner: 'app', id }, { basis, revision: `${id}-${basis}`, document: '' });
        await sleep(5);
      }
      expect((await store.list('app', 10)).map(({ id }) => id)).toEqual(['a', 'c', 'b']);
      const [newest, ...others] = await store.list('app', 1);
      expect(others).toEqual([]);
      expect(newest?.updatedAt).toBeGreaterThan(newest?.createdAt ?? Number.POSITIVE_INFINITY);
    });

    it('holds so many of one owner, and lets go the one unused for longest', async () => {
      const { store } = await openEmpty({ ...BOUNDS, maxSessions: 3 });
      await store.write({ owner: 'other', id: 'x' }, first);
      for (const id of ['a', 'b', 'c', 'd', 'e']) {
        await store.write({ owner: 'app', id }, first);
        await sleep(5);
      }
      expect((await store.list('app', 10)).map(({ id }) => id)).toEqual(['e', 'd', 'c']);
      expect(await store.read({ owner: 'app', id: 'b' })).toBeUndefined();
      expect(await store.read({ owner: 'other', id: 'x' })).toBeDefined();
    });

    it('forgets a session that was not written to for its time', async () => {
      const { store } = await openEmpty({ ...BOUNDS, ttlSeconds: 2 });
      await store.write(KEY, first);
      await sleep(1000);
      await store.write(KEY, { ...first, basis: 'r1', revision: 'r2' });
      await sleep(1400);
      expect(await store.read(KEY)).toBeDefined();
      await sleep(1000);
      expect(await store.read(KEY)).toBeUndefined();
      expect(await store.list('app', 10)).toEqual([]);
      const late = store.write(KEY, { basis: 'r2', revision: 'r3', document: 'late' });
      await expect(late).rejects.toMatchObject({ code: 'conflict' });
      await store.write(KEY, first);
    });

    it('has everything that was acknowledged after a restart', async () => {
      const { store, reopen } = await openEmpty(BOUNDS);
      await store.write(KEY, first);
      await sleep(5);
      await store.write({ ...KEY, id: 'second' }, { ...first, document: 'two' });
      const reopened = await reopen();
      expect(await reopened.read(KEY)).toMatchObject({ revision: 'r1', document: 'one' });
      expect((await reopened.list('app', 10)).map(({ id }) => id)).toEqual(['second', 'talk']);
    });
  });
}
