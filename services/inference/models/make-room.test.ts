import { describe, expect, it } from 'vitest';
import { makeRoom, type RoomQuestion, type RunningModel } from './make-room.ts';

const MIB = 2 ** 20;
const running = (key: string, mib: number, lastUsedAt: number, mayGo = true): RunningModel => ({
  key,
  heldBytes: mib * MIB,
  mostBytes: (mib + 50) * MIB,
  lastUsedAt,
  mayGo,
});
const ask = (question: Partial<Record<keyof RoomQuestion, number>>, ...models: RunningModel[]) => {
  const bytes = (name: keyof RoomQuestion) => (question[name] === undefined ? null : question[name] * MIB);
  return makeRoom({
    neededBytes: bytes('neededBytes') ?? 0,
    availableBytes: bytes('availableBytes'),
    reservedBytes: bytes('reservedBytes') ?? 0,
    limitBytes: bytes('limitBytes'),
    running: models,
  });
};

describe('makeRoom', () => {
  it('admits what fits, and everything where nothing is known', () => {
    expect(ask({ neededBytes: 300, availableBytes: 300 }, running('a', 100, 1))).toEqual({ kind: 'fits' });
    expect(ask({ neededBytes: 10 ** 9 })).toEqual({ kind: 'fits' });
  });

  it('unloads the least recently used idle models, as many as it takes', () => {
    const models = [
      running('main', 500, 0, false),
      running('new', 100, 9),
      running('old', 100, 1),
      running('mid', 100, 5),
    ];
    expect(ask({ neededBytes: 150, availableBytes: 100 }, ...models)).toEqual({ kind: 'unload', keys: ['old'] });
    expect(ask({ neededBytes: 250, availableBytes: 100 }, ...models)).toEqual({ kind: 'unload', keys: ['old', 'mid'] });
  });

  it('unloads nothing in vain, and says what is short', () => {
    const models = [running('main', 500, 0, false), running('idle', 100, 1)];
    expect(ask({ neededBytes: 700, availableBytes: 100 }, ...models)).toEqual({
      kind: 'refuse',
      why: 'it needs about 700 MiB of memory, and 200 MiB are free, even with all that are idle unloaded',
    });
    expect(ask({ neededBytes: 20, availableBytes: 10 })).toEqual({
      kind: 'refuse',
      why: 'it needs about 20 MiB of memory, and 10 MiB are free',
    });
  });

  it('counts what is being loaded', () => {
    expect(ask({ neededBytes: 100, availableBytes: 250, reservedBytes: 200 })).toMatchObject({
      kind: 'refuse',
      why: expect.stringContaining('and 50 MiB are free'),
    });
  });

  it('holds the sum of what engines have taken at most to the limit', () => {
    const models = [running('main', 200, 0, false), running('idle', 200, 1)];
    expect(ask({ neededBytes: 100, limitBytes: 600, availableBytes: 9999 }, ...models)).toEqual({ kind: 'fits' });
    expect(ask({ neededBytes: 101, limitBytes: 600, availableBytes: 9999 }, ...models)).toEqual({
      kind: 'unload',
      keys: ['idle'],
    });
    expect(ask({ neededBytes: 351, limitBytes: 600 }, ...models)).toEqual({
      kind: 'refuse',
      why: 'it needs about 351 MiB of memory, and of the 600 MiB that MODELS_MAX_MEMORY allows 350 MiB are left, even with all that are idle unloaded',
    });
  });
});
