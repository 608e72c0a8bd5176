/** Writes pickles for tests, opcode by opcode, true ones and lying ones. Knows the format (pickletools), not the reader. */
import { u32, u64 } from '../../testing/gguf-bytes.ts';

const bytes = (...codes: number[]) => Buffer.from(codes);
const line = (text: string) => Buffer.from(`${text}\n`);

export const PROTO = bytes(0x80, 2);
export const MARK = Buffer.from('(');
export const TUPLE = Buffer.from('t');
export const REDUCE = Buffer.from('R');
export const BINPERSID = Buffer.from('Q');
export const EMPTY_DICT = Buffer.from('}');
export const EMPTY_LIST = Buffer.from(']');
export const EMPTY_TUPLE = Buffer.from(')');
export const SETITEMS = Buffer.from('u');
export const SETITEM = Buffer.from('s');
export const STACK_GLOBAL = bytes(0x93);
export const MEMOIZE = bytes(0x94);
export const BUILD = Buffer.from('b');
const STOP = Buffer.from('.');
export const FALSE = bytes(0x89);
export const TRUE = bytes(0x88);
export const NONE = Buffer.from('N');

export const global = (module: string, name: string) => Buffer.concat([Buffer.from('c'), line(module), line(name)]);
export const text = (value: string) =>
  Buffer.concat([Buffer.from('X'), u32(Buffer.byteLength(value)), Buffer.from(value)]);
export const put = (index: number) => Buffer.concat([Buffer.from('r'), u32(index)]);
export const get = (index: number) => Buffer.concat([Buffer.from('j'), u32(index)]);

/** LONG1 of 8 bytes: any size an attacker can think of. */
export const int = (value: number | bigint) => Buffer.concat([bytes(0x8a, 8), u64(BigInt.asUintN(64, BigInt(value)))]);

export const tuple = (...items: readonly Uint8Array[]) => Buffer.concat([MARK, ...items, TUPLE]);

export const dict = (entries: Readonly<Record<string, Uint8Array>>) =>
  Buffer.concat([EMPTY_DICT, MARK, ...Object.entries(entries).flatMap(([key, value]) => [text(key), value]), SETITEMS]);

export const call = (module: string, name: string, ...args: readonly Uint8Array[]) =>
  Buffer.concat([global(module, name), tuple(...args), REDUCE]);

export interface TensorLie {
  readonly key?: string;
  /** `FloatStorage` ... */
  readonly storage?: string;
  /** Elements the storage is said to have. */
  readonly count?: number | bigint;
  readonly offset?: number | bigint;
  readonly shape?: readonly (number | bigint)[];
  readonly strides?: readonly (number | bigint)[];
}

/** Unless said otherwise: two float32, in storage 0. */
export const tensor = ({
  key = '0',
  storage = 'FloatStorage',
  count = 2,
  offset = 0,
  shape = [2],
  strides = [1],
}: TensorLie = {}) =>
  call(
    'torch._utils',
    '_rebuild_tensor_v2',
    Buffer.concat([tuple(text('storage'), global('torch', storage), text(key), text('cpu'), int(count)), BINPERSID]),
    int(offset),
    tuple(...shape.map(int)),
    tuple(...strides.map(int)),
    FALSE,
    call('collections', 'OrderedDict'),
  );

export const pickle = (...parts: readonly Uint8Array[]) => Buffer.concat([PROTO, ...parts, STOP]);
