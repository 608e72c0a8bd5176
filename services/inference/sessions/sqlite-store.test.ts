/** The SQLite store: the conformance suite, clocks that jump, and what only a file can suffer. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { sessionStoreConformance } from './conformance.ts';
import type { SessionStore } from './session-store.ts';
import { openSqliteStore } from './sqlite-store.ts';
import type { Clocks } from './store-clock.ts';

const scratch = mkdtempSync(join(tmpdir(), 'slipway-sessions-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
let folders = 0;
const newFolder = () => join(scratch, `data-${folders++}`);
const BOUNDS = { ttlSeconds: 600, maxSessions: 100 };
const KEY = { owner: 'app', id: 'talk' };
const first = { basis: null, revision: 'r1', document: 'one' };

const open = new Set<SessionStore>();
afterEach(async () => {
  for (const store of open) await store.close();
  open.clear();
});

function keep(store: SessionStore): SessionStore {
  open.add(store);
  return store;
}

sessionStoreConformance('SQLite', async (bounds) => {
  const folder = newFolder();
  const store = keep(openSqliteStore(folder, bounds));
  // As after a killed process: opened again without having been closed.
  return { store, reopen: async () => keep(openSqliteStore(folder, bounds)) };
});

/** A machine whose clock can be set, and on which time passes when told so. */
function machine() {
  let [system, monotonic] = [1_800_000_000_000, 5_000];
  const clocks: Clocks = { system: () => system, monotonic: () => monotonic };
  return {
    clocks,
    pass(seconds: number) {
      system += seconds * 1000;
      monotonic += seconds * 1000;
    },
    setClock(seconds: number) {
      system += seconds * 1000;
    },
    restart() {
      monotonic = 1;
    },
  };
}

const YEAR = 365 * 86_400;

describe('a system clock that jumps', () => {
  it.each([YEAR, -YEAR])('by %d s expires nothing and brings nothing back', async (jump) => {
    const { clocks, pass, setClock } = machine();
    const store = keep(openSqliteStore(newFolder(), BOUNDS, clocks));
    await store.write(KEY, first);
    pass(400);
    await store.write({ ...KEY, id: 'younger' }, first);
    setClock(jump);
    expect(await store.read(KEY)).toMatchObject({ expiresInSeconds: 200 });
    pass(300);
    expect(await store.read(KEY)).toBeUndefined();
    setClock(-jump);
    expect(await store.read(KEY)).toBeUndefined();
    expect(await store.read({ ...KEY, id: 'younger' })).toMatchObject({ expiresInSeconds: 300 });
  });

  it.each([YEAR, -YEAR])('by %d s is not taken for time that passed when the process starts again', async (jump) => {
    const { clocks, pass, setClock, restart } = machine();
    const folder = newFolder();
    const store = openSqliteStore(folder, BOUNDS, clocks);
    await store.write(KEY, first);
    setClock(jump);
    // Looked at, and then killed.
    await store.read(KEY);
    restart();
    pass(100);
    const reopened = keep(openSqliteStore(folder, BOUNDS, clocks));
    expect(await reopened.read(KEY)).toMatchObject({ expiresInSeconds: 500 });
    await store.close();
  });

  it('that was set back while the process was down brings nothing back', async () => {
    const { clocks, pass, setClock, restart } = machine();
    const folder = newFolder();
    const store = openSqliteStore(folder, BOUNDS, clocks);
    await store.write(KEY, first);
    pass(700);
    expect(await store.read(KEY)).toBeUndefined();
    await store.close();
    setClock(-YEAR);
    restart();
    const reopened = keep(openSqliteStore(folder, BOUNDS, clocks));
    expect(await reopened.read(KEY)).toBeUndefined();
  });
});

describe('time that passes while the process is down', () => {
  it('counts', async () => {
    const { clocks, pass, restart } = machine();
    const folder = newFolder();
    const store = openSqliteStore(folder, BOUNDS, clocks);
    await store.write(KEY, first);
    await store.close();
    restart();
    pass(400);
    const reopened = keep(openSqliteStore(folder, BOUNDS, clocks));
    expect(await reopened.read(KEY)).toMatchObject({ expiresInSeconds: 200 });
  });
});

describe('the file', () => {
  it('can be read by its owner only', async () => {
    const folder = newFolder();
    await keep(openSqliteStore(folder, BOUNDS)).write(KEY, first);
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o077).toBe(0);
    expect(statSync(folder).mode & 0o077).toBe(0);
  });

  it('does not grow with sessions that expired', async () => {
    const { clocks, pass } = machine();
    const folder = newFolder();
    const store = keep(openSqliteStore(folder, BOUNDS, clocks));
    const size = () => statSync(join(folder, 'sessions.sqlite')).size;
    const fill = async () => {
      for (let index = 0; index < 50; index++) {
        await store.write({ ...KEY, id: `s${index}` }, { ...first, document: 'x'.repeat(50_000) });
      }
      pass(601);
    };
    await fill();
    await fill();
    const before = size();
    for (let round = 0; round < 5; round++) await fill();
    expect(size()).toBeLessThanOrEqual(before * 1.2);
  });

  it.each([
    ['that is no database', (path: string) => writeFileSync(path, 'x'.repeat(5000))],
    ['that is a folder', (path: string) => mkdirSync(path)],
    [
      'of a later version',
      (path: string) => {
        const database = new DatabaseSync(path);
        database.exec('PRAGMA user_version = 9');
        database.close();
      },
    ],
  ])('%s is left as it is, and said', (_, spoil) => {
    const folder = newFolder();
    mkdirSync(folder);
    const path = join(folder, 'sessions.sqlite');
    spoil(path);
    expect(() => openSqliteStore(folder, BOUNDS)).toThrow(
      expect.objectContaining({ code: 'sessions_unavailable', message: expect.stringContaining(path) }),
    );
  });

  it('in a folder that cannot be made is said', () => {
    expect(() => openSqliteStore('/dev/null/slipway', BOUNDS)).toThrow(
      expect.objectContaining({ code: 'sessions_unavailable', message: expect.stringContaining('DATA_FOLDER') }),
    );
  });

  it('serves two processes at once', async () => {
    const folder = newFolder();
    const [one, other] = [keep(openSqliteStore(folder, BOUNDS)), keep(openSqliteStore(folder, BOUNDS))];
    await one.write(KEY, first);
    await other.write(KEY, { basis: 'r1', revision: 'r2', document: 'two' });
    await expect(one.write(KEY, { basis: 'r1', revision: 'r3', document: 'three' })).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(await one.read(KEY)).toMatchObject({ document: 'two' });
  });
});
