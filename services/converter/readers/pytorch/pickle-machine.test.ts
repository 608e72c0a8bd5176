import { expect, test } from 'vitest';
import { unpickle } from './pickle-machine.ts';
import { PickleDict, PickleList, PickleTuple, type PickleValue } from './pickle-values.ts';
import * as p from './testing/pickle-bytes.ts';

/** As plain JavaScript, to compare. */
function plain(value: PickleValue): unknown {
  if (value instanceof PickleTuple || value instanceof PickleList) return value.items.map(plain);
  if (value instanceof PickleDict) return value.entries.map(([key, item]) => [plain(key), plain(item)]);
  return value;
}

const run = (...parts: readonly Uint8Array[]) => plain(unpickle(p.pickle(...parts), 0, 'here').value);

test('reads plain values of every kind torch.save writes', () => {
  expect(run(p.dict({ a: p.int(1), ä: p.text('日本') }))).toEqual([
    ['a', 1],
    ['ä', '日本'],
  ]);
  expect(run(p.tuple(p.TRUE, p.FALSE, p.NONE, p.EMPTY_TUPLE, p.EMPTY_LIST))).toEqual([true, false, null, [], []]);
  expect(run(p.tuple(Buffer.of(0x4b, 200), Buffer.of(0x4d, 1, 2), Buffer.of(0x4a, 255, 255, 255, 255)))).toEqual([
    200, 513, -1,
  ]);
  expect(run(Buffer.concat([Buffer.from('G'), Buffer.from('3ff8000000000000', 'hex')]))).toBe(1.5);
  expect(run(p.call('collections', 'OrderedDict'))).toEqual([]);
});

test('reads integers of any length, as numbers where one holds them', () => {
  const long = (hex: string) => run(Buffer.of(0x8a, hex.length / 2), Buffer.from(hex, 'hex'));
  expect(long('')).toBe(0);
  expect(long('ff')).toBe(-1);
  expect(long('ff00')).toBe(255);
  expect(long('0080')).toBe(-32768);
  expect(long('ffffffffffffff7f')).toBe(2n ** 63n - 1n);
  expect(long('6cfc9c46f9206aa85019')).toBe(0x1950a86a20f9469cfc6cn);
});

test('an entry of the memo is the same value wherever it is taken out', () => {
  const value = unpickle(p.pickle(p.EMPTY_LIST, p.put(0), p.get(0), Buffer.of(0x86)), 0, 'here').value;
  expect(value).toBeInstanceOf(PickleTuple);
  const [first, second] = value instanceof PickleTuple ? value.items : [];
  expect(first).toBe(second);
});

// The pass before it has refused them already; it does not rely on that.
test.each([
  ['os.system', [p.global('os', 'system')]],
  ['builtins.eval', [p.text('builtins'), p.text('eval'), p.STACK_GLOBAL]],
  ['torch.load', [p.global('torch', 'load')]],
  ['collections.OrderedDict.__init__', [p.global('collections', 'OrderedDict.__init__')]],
])('does not know the global %s', (name, parts) => {
  expect(() => run(...parts)).toThrow(`it names "${name}"`);
});

test.each(['INST', 'OBJ', 'NEWOBJ_EX', 'EXT1', 'PERSID', 'NEXT_BUFFER'])('does not know the opcode %s', (name) => {
  const codes: Record<string, Buffer> = {
    INST: Buffer.from('(icollections\nOrderedDict\n'),
    OBJ: Buffer.from('(ccollections\nOrderedDict\no'),
    NEWOBJ_EX: Buffer.concat([p.global('collections', 'OrderedDict'), p.EMPTY_TUPLE, p.EMPTY_DICT, Buffer.of(0x92)]),
    EXT1: Buffer.of(0x82, 1),
    PERSID: Buffer.from('P0\n'),
    NEXT_BUFFER: Buffer.of(0x97),
  };
  expect(() => run(codes[name] ?? Buffer.alloc(0))).toThrow(`does not need the opcode ${name}`);
});

const FROM_TYPE = p.global('torch._tensor', '_rebuild_from_type_v2');

/** Arguments that ask for one rebuilding inside another. */
const nested = (depth: number): Buffer =>
  depth === 0 ? p.EMPTY_TUPLE : p.tuple(FROM_TYPE, p.NONE, nested(depth - 1), p.NONE);

test.each<[string, readonly Uint8Array[], RegExp]>([
  [
    'a dict made as an object',
    [p.global('collections', 'OrderedDict'), p.EMPTY_TUPLE, Buffer.of(0x81)],
    /object of collections\.OrderedDict/,
  ],
  ['a text made as an object', [p.text('posix.system'), p.EMPTY_TUPLE, Buffer.of(0x81)], /no class/],
  ['a rebuilding in itself', [FROM_TYPE, nested(3), p.REDUCE], /rebuilt by torch\._tensor/],
  [
    'a distributed tensor of nothing',
    [
      p.call(
        'torch._tensor',
        '_rebuild_from_type_v2',
        p.global('torch._utils', '_rebuild_wrapper_subclass'),
        p.NONE,
        p.tuple(p.global('torch.distributed.tensor', 'DTensor'), p.NONE, p.EMPTY_TUPLE),
        p.dict({}),
      ),
    ],
    /no piece/,
  ],
])('does not make %s', (_, parts, message) => {
  expect(() => run(...parts)).toThrow(message);
});
