/** Files made to harm, or cut, or flipped: each ends in an AppError that names the fault, soon, and with little memory. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { f32, u64 } from '../testing/gguf-bytes.ts';
import { scratchFolder } from '../testing/scratch.ts';
import * as p from './testing/pickle-bytes.ts';
import { torchZip, type ZipSpec, zipBytes } from './testing/zip-bytes.ts';
import { openTorchFile } from './torch-file.ts';

const FIXTURES = join(import.meta.dirname, 'fixtures');
const MALFORMED = join(import.meta.dirname, '../../../../../shared/data/malformed');

/** Opens and reads everything. */
async function readAt(path: string) {
  const file = await openTorchFile(path);
  try {
    const values: Record<string, number[]> = {};
    for (const [name, tensor] of file.tensors) values[name] = [...(await tensor.read())];
    return values;
  } finally {
    await file.close();
  }
}

async function read(bytes: Uint8Array) {
  return readAt(join(await scratchFolder({ 'model.pt': bytes }), 'model.pt'));
}

/** Of this process: neighbours on the machine do not count. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

const DATA = { '0': f32(1, 2) };
const GOOD = p.pickle(p.dict({ w: p.tensor() }));

test('what the hostile files are made from is good', async () => {
  expect(await read(torchZip(GOOD, DATA))).toEqual({ w: [1, 2] });
  const zip64 = [
    { name: 'a/data.pkl', data: GOOD, zip64: true },
    { name: 'a/data/0', data: f32(3, 4), zip64: true, padding: 40 },
    { name: 'a/.data/serialization_id', data: Buffer.from('1'), zip64: true },
  ];
  expect(await read(zipBytes(zip64))).toEqual({ w: [3, 4] });
});

describe('a pickle that names Python code', () => {
  const command = p.text('touch /tmp/slipway-was-here');
  const system = p.call('posix', 'system', command);
  test.each<[string, Buffer, string]>([
    ['os.system, called', p.pickle(p.call('os', 'system', command)), 'os.system'],
    ['behind good tensors', p.pickle(p.dict({ w: p.tensor(), x: system })), 'posix.system'],
    ['by STACK_GLOBAL', p.pickle(p.text('posix'), p.text('system'), p.STACK_GLOBAL), 'posix.system'],
    [
      'by STACK_GLOBAL through the memo',
      p.pickle(p.text('system'), p.put(7), p.text('posix'), p.get(7), p.STACK_GLOBAL),
      'posix.system',
    ],
    [
      'by STACK_GLOBAL and MEMOIZE, overwritten names',
      p.pickle(p.text('fine'), p.MEMOIZE, p.text('eval'), p.put(0), p.text('builtins'), p.get(0), p.STACK_GLOBAL),
      'builtins.eval',
    ],
    [
      'by STACK_GLOBAL under a duplicate',
      p.pickle(p.text('builtins'), p.text('eval'), Buffer.from('20'), p.STACK_GLOBAL),
      'builtins.eval',
    ],
    ['by one text that DUP doubles', p.pickle(p.text('code'), Buffer.from('2'), p.STACK_GLOBAL), 'code.code'],
    ['by STACK_GLOBAL with no text', p.pickle(p.NONE, p.text('system'), p.STACK_GLOBAL), '?.system'],
    ['by INST', p.pickle(p.MARK, command, Buffer.from('ios\nsystem\n')), 'os.system'],
    ['by OBJ', p.pickle(p.MARK, p.global('os', 'system'), command, Buffer.from('o')), 'os.system'],
    ['by NEWOBJ', p.pickle(p.global('subprocess', 'Popen'), p.tuple(command), Buffer.of(0x81)), 'subprocess.Popen'],
    ['by the extension registry', p.pickle(Buffer.of(0x82, 7)), 'copyreg extension 7'],
    ['never called', p.pickle(p.global('os', 'system'), Buffer.from('0'), p.dict({ w: p.tensor() })), 'os.system'],
    ['before a broken opcode', Buffer.concat([p.PROTO, p.global('os', 'system'), Buffer.of(0xff)]), 'os.system'],
    ['torch’s own loader', p.pickle(p.call('torch.storage', '_load_from_bytes', p.text(''))), '_load_from_bytes'],
    ['a name that begins like a known one', p.pickle(p.global('torch', 'FloatStorage.__init__')), '__init__'],
    ['builtins.getattr', p.pickle(p.call('builtins', 'getattr', p.NONE, p.text('x'))), 'builtins.getattr'],
    ['as a type of storage', p.pickle(p.dict({ w: p.tensor({ storage: 'load' }) })), 'torch.load'],
  ])('is refused by that name: %s', async (_, pickle, name) => {
    for (const bytes of [torchZip(pickle, DATA), legacy(pickle)]) {
      await expect(read(bytes)).rejects.toMatchObject({
        code: 'unsupported_source',
        message: expect.stringContaining(JSON.stringify(name).slice(0, -1).replace(/^"/, '')),
      });
    }
    expect(existsSync('/tmp/slipway-was-here')).toBe(false);
  });

  test('is refused with all of its names at once', async () => {
    const pickle = p.pickle(p.global('os', 'system'), p.global('builtins', 'eval'), p.global('sys', 'exit'));
    await expect(read(torchZip(pickle))).rejects.toMatchObject({
      message: expect.stringMatching(/"os.system", "builtins.eval", "sys.exit"/),
    });
  });
});

/** The format before torch 1.6, around an object's pickle. */
function legacy(
  object: Uint8Array,
  storages: readonly (readonly [string, bigint, Uint8Array])[] = [['0', 2n, f32(1, 2)]],
) {
  return Buffer.concat([
    p.pickle(Buffer.of(0x8a, 0x0a), Buffer.from('6cfc9c46f9206aa85019', 'hex')),
    p.pickle(p.int(1001)),
    p.pickle(p.dict({ protocol_version: p.int(1001), little_endian: p.TRUE })),
    object,
    p.pickle(p.EMPTY_LIST, p.MARK, ...storages.map(([key]) => p.text(key)), Buffer.from('e')),
    ...storages.flatMap(([, count, data]) => [u64(count), data]),
  ]);
}

test('what the hostile legacy files are made from is good', async () => {
  expect(await read(legacy(GOOD))).toEqual({ w: [1, 2] });
});

test('a legacy file with something behind its end is refused', async () => {
  await expect(read(Buffer.concat([legacy(GOOD), Buffer.alloc(1)]))).rejects.toMatchObject({
    code: 'invalid_source',
    message: expect.stringMatching(/storages end at byte \d+, the file at \d+/),
  });
});

test('a legacy file that lists a storage twice is refused', async () => {
  const storage = ['0', 2n, f32(1, 2)] as const;
  await expect(read(legacy(GOOD, [storage, storage]))).rejects.toMatchObject({
    code: 'invalid_source',
    message: expect.stringContaining('storage 0 is there twice'),
  });
});

describe('a pickle that misuses what is known', () => {
  const state = (lie: p.TensorLie) => p.dict({ w: p.tensor(lie) });
  const nothing = Buffer.alloc(0);
  test.each<[string, Buffer, RegExp]>([
    ['a tensor longer than its storage', state({ shape: [3] }), /reaches beyond the 8 bytes/],
    ['strides that reach outside', state({ strides: [2] }), /reaches beyond/],
    ['an offset that reaches outside', state({ offset: 1 }), /reaches beyond/],
    ['a negative offset', state({ offset: -1 }), /offset.* -1/],
    ['a negative stride', state({ strides: [-1] }), /strides.* -1/],
    ['a negative length', state({ shape: [-2] }), /shape.* -2/],
    ['lengths whose product overflows', state({ shape: [2n ** 40n, 2n ** 40n], strides: [0, 0] }), /reaches beyond/],
    ['a length of 2^62', state({ shape: [2n ** 62n] }), /shape.* 4611686018427387904/],
    ['a storage of 2^62 elements', state({ count: 2n ** 62n }), /size of storage 0/],
    ['fewer strides than lengths', state({ shape: [1, 2] }), /2 dimensions and 1 strides/],
    ['65 dimensions', state({ shape: new Array(65).fill(1), strides: new Array(65).fill(1) }), /65 dimensions/],
    ['a storage that is not there', state({ key: '1' }), /storage .*1 is missing|no tensor has the storage 0/],
    ['a storage key that climbs', state({ key: '../version' }), /missing|no tensor has/],
    [
      'a storage said to be longer than it is',
      state({ count: 4 }),
      /has 8 bytes, its tensors say 16|has 2 elements, not 4/,
    ],
    ['a tensor of no storage', p.call('torch._utils', '_rebuild_tensor_v2', p.NONE), /no storage/],
    ['a tensor of no arguments', p.call('torch._utils', '_rebuild_tensor_v2'), /no storage/],
    ['a parameter of no tensor', p.call('torch._utils', '_rebuild_parameter', p.NONE), /parameter/],
    ['a type of storage that is called', p.call('torch', 'FloatStorage'), /calls torch.FloatStorage/],
    ['a text that is called', Buffer.concat([p.text('os.system'), p.tuple(), p.REDUCE]), /calls/],
    ['a tensor that is called', Buffer.concat([p.tensor(), p.tuple(), p.REDUCE]), /calls/],
    [
      'NEWOBJ of a known name',
      Buffer.concat([p.global('collections', 'OrderedDict'), p.tuple(), Buffer.of(0x81)]),
      /object of collections/,
    ],
    ['attributes of a tensor', Buffer.concat([p.tensor(), p.dict({}), p.BUILD]), /sets the attributes/],
    [
      'attributes of a function',
      Buffer.concat([p.global('collections', 'OrderedDict'), p.dict({}), p.BUILD]),
      /sets the attributes/,
    ],
    ['a persistent id that is a path', Buffer.concat([p.text('/etc/passwd'), p.BINPERSID]), /persistent id/],
    ['a persistent id of a module', Buffer.concat([p.tuple(p.text('module'), p.NONE), p.BINPERSID]), /persistent id/],
    ['a persistent id in text', Buffer.from('P/etc/passwd\n'), /PERSID/],
    ['an item set in a list', Buffer.concat([p.EMPTY_LIST, p.text('a'), p.NONE, p.SETITEM]), /no dict/],
    ['a key without a value', Buffer.concat([p.EMPTY_DICT, p.MARK, p.text('a'), p.SETITEMS]), /no value/],
    ['an empty stack', nothing, /little on the stack|stack is empty/],
    ['a mark that is missing', p.TUPLE, /little on the stack|mark/],
    ['values below a mark', Buffer.concat([p.text('a'), p.MARK, Buffer.of(0x85)]), /little on the stack|short/],
    ['a memo that is empty', p.get(3), /memo has nothing at 3/],
    ['a memo index of 4 billion', Buffer.concat([p.NONE, p.put(2 ** 32 - 1)]), /memo has no place 4294967295/],
    ['a text that is no UTF-8', Buffer.of(0x8c, 1, 0xff), /UTF-8/],
    ['a text of 4 GB', Buffer.concat([Buffer.from('X'), Buffer.from('ffffffff', 'hex')]), /truncated/],
    ['a text of 2^64 bytes', Buffer.concat([Buffer.of(0x8d), Buffer.alloc(8, 0xff)]), /truncated/],
    [
      'an integer of 100,000 bytes',
      Buffer.concat([Buffer.of(0x8b, 0xa0, 0x86, 1, 0), Buffer.alloc(100_000, 1)]),
      /integer/,
    ],
    ['an opcode that does not exist', Buffer.of(0xff), /0xff/],
    ['no tensors', p.dict({ epoch: p.int(1) }), /no tensors.*"epoch"|no tensor has the storage 0/],
    ['a single tensor', p.tensor(), /single tensor/],
    ['a list', p.EMPTY_LIST, /no dict at its top|no tensor has the storage 0/],
    ['one name twice', p.dict({ 'a.b': p.tensor(), a: p.dict({ b: p.tensor() }) }), /"a.b" is there twice/],
  ])('is refused: %s', async (_, value, message) => {
    for (const bytes of [torchZip(p.pickle(value), DATA), legacy(p.pickle(value))]) {
      await expect(read(bytes)).rejects.toMatchObject({
        code: 'invalid_source',
        message: expect.stringMatching(message),
      });
      await expect(read(bytes)).rejects.toMatchObject({ message: expect.stringContaining('model.pt') });
    }
  });
});

describe('a zip file that lies', () => {
  const good = { name: 'a/data.pkl', data: GOOD };
  const storage = { name: 'a/data/0', data: f32(1, 2) };
  const with_ = (entry: Partial<ZipSpec>) => zipBytes([good, { ...storage, ...entry }]);
  test.each<[string, Buffer, RegExp]>([
    ['a name that climbs', with_({ name: 'a/../../etc/passwd' }), /points outside/],
    ['an absolute name', with_({ name: '/etc/passwd' }), /points outside/],
    ['a name of another system', with_({ name: 'a\\data\\0' }), /points outside/],
    ['10 GB in a small file', with_({ size: 10 * 2 ** 30 - 2 ** 32 * 2 }), /reaches into what follows/],
    ['10 GB by zip64', with_({ size: 10 * 2 ** 30, zip64: true }), /reaches into what follows/],
    ['2^63 bytes by zip64', with_({ size: 2 ** 63, zip64: true }), /reaches into what follows/],
    ['overlapping entries', zipBytes([good, { ...storage, header: 20 }]), /reaches into what follows/],
    ['one entry twice', zipBytes([good, good]), /twice/],
    ['two entries of one place', zipBytes([good, { ...storage, header: 0 }]), /reaches into what follows/],
    ['two sizes', with_({ packed: 4 }), /two sizes/],
    ['an entry behind the end', with_({ header: 2 ** 31 }), /reaches into what follows/],
    ['an entry where none is', zipBytes([storage, { ...good, header: 3 }]), /reaches into what follows|no header/],
    ['another name in the header', zipBytes([{ ...good, localName: 'a/data.xyz' }, storage]), /another name/],
    ['a header that pushes its bytes into the next', zipBytes([{ ...good, localPadding: 8 }, storage]), /reaches into/],
    ['more entries than it has', zipBytes([good, storage], { count: 3 }), /claims 3/],
    ['a directory of 4 GB', zipBytes([good, storage], { directoryBytes: 2 ** 32 - 2 }), /limit/],
    ['a directory elsewhere', zipBytes([good, storage], { directoryStart: 5 }), /does not end/],
    ['no data.pkl', zipBytes([storage]), /0 data.pkl/],
    ['two data.pkl', zipBytes([good, { ...good, name: 'b/data.pkl' }]), /2 data.pkl/],
    ['no entries', zipBytes([]), /neither a zip/],
    ['text before it', Buffer.concat([Buffer.from('PK\x03\x04text'), zipBytes([good, storage])]), /does not end/],
    ['a second pickle behind the first', torchZip(Buffer.concat([GOOD, GOOD]), DATA), /follows the pickle/],
  ])('is refused: %s', async (_, bytes, message) => {
    await expect(read(bytes)).rejects.toMatchObject({ message: expect.stringMatching(message) });
    await expect(read(bytes)).rejects.toBeInstanceOf(AppError);
  });

  test.each<[string, Buffer, RegExp]>([
    ['compressed', with_({ method: 8 }), /"a\/data\/0" is compressed/],
    ['encrypted', with_({ encrypted: true }), /encrypted/],
    ['big-endian', zipBytes([good, storage, { name: 'a/byteorder', data: Buffer.from('big') }]), /big-endian/],
    ['neither zip nor torch', Buffer.from('hello, world'), /neither/],
    ['empty', Buffer.alloc(0), /neither/],
    ['a pickle of another program', p.pickle(p.dict({ a: p.NONE })), /neither/],
  ])('is told what it is: %s', async (_, bytes, message) => {
    await expect(read(bytes)).rejects.toMatchObject({
      code: 'unsupported_source',
      message: expect.stringMatching(message),
    });
  });
});

describe('what is far too much', () => {
  const million = (count: number, ...parts: readonly Uint8Array[]) =>
    Buffer.alloc(count * Buffer.concat(parts).length, Buffer.concat(parts));
  /** Every dict holds the one before twice: 2^60 ways to the tensor. */
  const doubling = Buffer.concat([
    p.dict({ w: p.tensor() }),
    ...Array.from({ length: 60 }, (_, i) => Buffer.concat([p.put(i), p.dict({ a: p.get(i), b: p.get(i) })])),
  ]);
  const circle = Buffer.concat([
    p.EMPTY_DICT,
    p.put(0),
    p.MARK,
    p.text('a'),
    p.get(0),
    p.text('w.w'),
    p.tensor(),
    p.SETITEMS,
  ]);
  const nested = (depth: number) =>
    Buffer.concat([
      million(depth, p.EMPTY_DICT, p.MARK, p.text('a')),
      p.dict({ w: p.tensor() }),
      million(depth, p.SETITEMS),
    ]);
  test.each<[string, () => Buffer, RegExp]>([
    [
      '10 million memo puts',
      () => Buffer.concat([p.NONE, million(10_000_000, Buffer.from('q\x00'))]),
      /more than 4000000/,
    ],
    ['5 million new memo entries', () => Buffer.concat([p.NONE, million(5_000_000, p.MEMOIZE)]), /more than 4000000/],
    ['5 million dicts', () => million(5_000_000, p.EMPTY_DICT), /more than 4000000/],
    [
      'tuples nested a million deep',
      () => Buffer.concat([p.NONE, million(1_000_000, Buffer.of(0x85))]),
      /no dict at its top/,
    ],
    ['dicts nested 100,000 deep', () => nested(100_000), /nested deeper/],
    ['dicts that double 60 times', () => doubling, /several of its entries/],
    ['a dict in itself', () => circle, /nested deeper/],
  ])('is refused within seconds: %s', async (_, value, message) => {
    const bytes = torchZip(p.pickle(value()), DATA);
    const before = cpuSeconds();
    await expect(read(bytes)).rejects.toMatchObject({
      code: 'invalid_source',
      message: expect.stringMatching(message),
    });
    expect(cpuSeconds() - before).toBeLessThan(10);
  });

  test('2^60 ways to one tensor, all asked for', async () => {
    const folder = await scratchFolder({ 'model.pt': torchZip(p.pickle(doubling), DATA) });
    await expect(openTorchFile(join(folder, 'model.pt'), { choose: '' })).rejects.toMatchObject({
      message: expect.stringMatching(/nested deeper|more than 2000000 entries/),
    });
  });
});

test('a storage that no weight needs is not looked at', async () => {
  const state = p.dict({ '0': p.dict({ exp_avg: p.tensor({ key: 'gone', count: 2 ** 40 }) }) });
  const run = p.dict({
    model: p.dict({ w: p.tensor() }),
    optimizer: p.dict({ state }),
    loose: p.tensor({ key: 'gone' }),
  });
  expect(await read(torchZip(p.pickle(run), DATA))).toEqual({ w: [1, 2] });
});

const SAMPLES = ['training-run.pt', 'views-legacy.pt'];

test.each(SAMPLES)('%s cut anywhere is refused', async (name) => {
  const bytes = readFileSync(join(FIXTURES, name));
  const folder = await scratchFolder();
  for (let length = 0; length < bytes.length; length += 1 + Math.floor(bytes.length / 150)) {
    const path = join(folder, 'cut.pt');
    await writeFile(path, bytes.subarray(0, length));
    await expect(readAt(path), `${length} bytes`).rejects.toBeInstanceOf(AppError);
  }
});

/** Deterministic, so that what is found can be found again. */
function random(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test.each([...SAMPLES, 'types.pt'])('%s with any bytes changed ends in values or an AppError, soon', async (name) => {
  const bytes = readFileSync(join(FIXTURES, name));
  const folder = await scratchFolder();
  const path = join(folder, 'changed.pt');
  const next = random(1);
  const pickleEnd = 3_000;
  let refused = 0;
  for (let round = 0; round < 400; round++) {
    const changed = Buffer.from(bytes);
    for (let changes = 1 + next(4); changes > 0; changes--) {
      // Where the structure is: the pickle at the beginning, the directory at the end.
      const at = next(3) === 0 ? bytes.length - 1 - next(1_200) : next(Math.min(bytes.length, pickleEnd));
      changed[Math.max(0, at)] = next(2) === 0 ? next(256) : (changed[at] ?? 0) ^ (1 << next(8));
    }
    await writeFile(path, changed);
    const before = cpuSeconds();
    const outcome = await readAt(path).catch((error: unknown) => error);
    expect(cpuSeconds() - before, `round ${round}`).toBeLessThan(2);
    if (outcome instanceof Error) {
      expect(outcome, `round ${round}: ${outcome.stack}`).toBeInstanceOf(AppError);
      refused++;
    }
  }
  // Both happen, or nothing was tried.
  expect(refused).toBeGreaterThan(100);
  expect(refused).toBeLessThan(400);
});

describe.skipIf(!existsSync(MALFORMED))('the collected pickles of others (needs ../shared/data/malformed)', () => {
  const Line = z.object({ file: z.string(), kind: z.string(), globals_static: z.array(z.string()).default([]) });
  const manifest = existsSync(MALFORMED)
    ? readFileSync(join(MALFORMED, 'MANIFEST.jsonl'), 'utf8').trim().split('\n')
    : [];
  const cases = manifest
    .map((line) => Line.parse(JSON.parse(line)))
    .filter(({ file }) => file.startsWith('pickle/'))
    .map(({ file, kind, globals_static: names }) => ({
      file,
      kind,
      // Torch's own, and what is a remark rather than a name.
      names: names.filter((name) => /^[\w.]+$/.test(name) && name !== 'collections.OrderedDict'),
    }));

  test('the manifest lists every file', () => {
    expect(cases).toHaveLength(readdirSync(join(MALFORMED, 'pickle')).length);
  });

  // None of them is a checkpoint: the benign ones are plain values, and plainly refused.
  test.each(cases)('$file ($kind) is refused, naming $names', async ({ file, names }) => {
    const error: unknown = await readAt(join(MALFORMED, file)).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(AppError);
    for (const name of names) expect(String(error)).toContain(JSON.stringify(name));
  });
});
