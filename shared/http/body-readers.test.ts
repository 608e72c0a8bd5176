/** Who is cut off for whom while bodies come slowly, by a clock that the test moves. */
import { describe, expect, it } from 'vitest';
import { BodyReaders } from './body-readers.ts';

const never = new Promise<never>(() => {});

function readers(mostBytes: number) {
  const clock = { now: 0 };
  const held = new BodyReaders(mostBytes, () => clock.now);
  const stuck = (bytes: number) =>
    held
      .read((grow) => {
        grow(bytes);
        return never;
      })
      .catch((error: unknown) => error);
  const whole = (bytes: number) =>
    held.read(async (grow) => {
      grow(bytes);
      return bytes;
    });
  return { clock, held, stuck, whole };
}

describe('bodies on their way', () => {
  it('are read side by side while there is room', async () => {
    const { whole } = readers(100);
    expect(await Promise.all([whole(30), whole(30), whole(40)])).toEqual([30, 30, 40]);
    expect(await whole(100)).toBe(100);
  });

  it('beyond the room are refused, unless somebody has had two seconds', async () => {
    const { clock, stuck, whole } = readers(100);
    const first = stuck(60);
    clock.now = 1000;
    const second = stuck(30);
    await expect(whole(20)).rejects.toMatchObject({ code: 'overloaded' });
    clock.now = 2000;
    expect(await whole(20)).toBe(20);
    expect(await first).toMatchObject({ code: 'request_timeout' });
    expect(await whole(70)).toBe(70);
    await expect(whole(71)).rejects.toMatchObject({ code: 'overloaded' });
    clock.now = 3000;
    expect(await whole(71)).toBe(71);
    expect(await second).toMatchObject({ code: 'request_timeout' });
  });

  it('whose length is not declared count as they grow, and fall themselves when they outgrow the room', async () => {
    const { held, whole } = readers(100);
    const growing = held.read(async (grow) => {
      for (let bytes = 10; bytes <= 200; bytes += 10) grow(bytes);
    });
    await expect(growing).rejects.toMatchObject({ code: 'overloaded' });
    expect(await whole(100)).toBe(100);
  });

  it('are given up for a request that finds no place, the oldest first, and never twice', async () => {
    const { clock, held, stuck } = readers(100);
    expect(held.cutSlowest()).toBe(false);
    const [first, second] = [stuck(1), stuck(1)];
    expect(held.cutSlowest()).toBe(false);
    clock.now = 2000;
    expect([held.cutSlowest(), held.cutSlowest(), held.cutSlowest()]).toEqual([true, true, false]);
    for (const one of [first, second]) expect(await one).toMatchObject({ code: 'request_timeout' });
  });
});
