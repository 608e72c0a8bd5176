/**
 * The words of a pickle (protocols 0 to 5, CPython's Lib/pickletools.py): what each opcode carries and what it does to the stack.
 * Cuts bytes into instructions; knows no values, runs nothing.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';

/** How an opcode's argument is written; a number is that many bytes of length before the argument itself. */
type Argument = 'none' | 'u8' | 'u16' | 'i32' | 'u32' | 'u64' | 'f64' | 'line' | 'two-lines' | 1 | 4 | 8;

export interface Opcode {
  readonly name: string;
  readonly argument: Argument;
  /** Values taken off the stack; `mark`: all above the last mark, and the mark. */
  readonly pops: number | 'mark';
  readonly pushes: 0 | 1;
}

const op = (name: string, argument: Argument, pops: number | 'mark', pushes: 0 | 1): Opcode => ({
  name,
  argument,
  pops,
  pushes,
});

const OPCODES: readonly (readonly [number | string, Opcode])[] = [
  ['(', op('MARK', 'none', 0, 0)],
  ['.', op('STOP', 'none', 1, 0)],
  ['0', op('POP', 'none', 1, 0)],
  ['1', op('POP_MARK', 'none', 'mark', 0)],
  ['2', op('DUP', 'none', 0, 1)],
  ['F', op('FLOAT', 'line', 0, 1)],
  ['I', op('INT', 'line', 0, 1)],
  ['J', op('BININT', 'i32', 0, 1)],
  ['K', op('BININT1', 'u8', 0, 1)],
  ['L', op('LONG', 'line', 0, 1)],
  ['M', op('BININT2', 'u16', 0, 1)],
  ['N', op('NONE', 'none', 0, 1)],
  ['P', op('PERSID', 'line', 0, 1)],
  ['Q', op('BINPERSID', 'none', 1, 1)],
  ['R', op('REDUCE', 'none', 2, 1)],
  ['S', op('STRING', 'line', 0, 1)],
  ['T', op('BINSTRING', 4, 0, 1)],
  ['U', op('SHORT_BINSTRING', 1, 0, 1)],
  ['V', op('UNICODE', 'line', 0, 1)],
  ['X', op('BINUNICODE', 4, 0, 1)],
  ['a', op('APPEND', 'none', 1, 0)],
  ['b', op('BUILD', 'none', 1, 0)],
  ['c', op('GLOBAL', 'two-lines', 0, 1)],
  ['d', op('DICT', 'none', 'mark', 1)],
  ['}', op('EMPTY_DICT', 'none', 0, 1)],
  ['e', op('APPENDS', 'none', 'mark', 0)],
  ['g', op('GET', 'line', 0, 1)],
  ['h', op('BINGET', 'u8', 0, 1)],
  ['i', op('INST', 'two-lines', 'mark', 1)],
  ['j', op('LONG_BINGET', 'u32', 0, 1)],
  ['l', op('LIST', 'none', 'mark', 1)],
  [']', op('EMPTY_LIST', 'none', 0, 1)],
  ['o', op('OBJ', 'none', 'mark', 1)],
  ['p', op('PUT', 'line', 0, 0)],
  ['q', op('BINPUT', 'u8', 0, 0)],
  ['r', op('LONG_BINPUT', 'u32', 0, 0)],
  ['s', op('SETITEM', 'none', 2, 0)],
  ['t', op('TUPLE', 'none', 'mark', 1)],
  [')', op('EMPTY_TUPLE', 'none', 0, 1)],
  ['u', op('SETITEMS', 'none', 'mark', 0)],
  ['G', op('BINFLOAT', 'f64', 0, 1)],
  ['B', op('BINBYTES', 4, 0, 1)],
  ['C', op('SHORT_BINBYTES', 1, 0, 1)],
  [0x80, op('PROTO', 'u8', 0, 0)],
  [0x81, op('NEWOBJ', 'none', 2, 1)],
  [0x82, op('EXT1', 'u8', 0, 1)],
  [0x83, op('EXT2', 'u16', 0, 1)],
  [0x84, op('EXT4', 'i32', 0, 1)],
  [0x85, op('TUPLE1', 'none', 1, 1)],
  [0x86, op('TUPLE2', 'none', 2, 1)],
  [0x87, op('TUPLE3', 'none', 3, 1)],
  [0x88, op('NEWTRUE', 'none', 0, 1)],
  [0x89, op('NEWFALSE', 'none', 0, 1)],
  [0x8a, op('LONG1', 1, 0, 1)],
  [0x8b, op('LONG4', 4, 0, 1)],
  [0x8c, op('SHORT_BINUNICODE', 1, 0, 1)],
  [0x8d, op('BINUNICODE8', 8, 0, 1)],
  [0x8e, op('BINBYTES8', 8, 0, 1)],
  [0x8f, op('EMPTY_SET', 'none', 0, 1)],
  [0x90, op('ADDITEMS', 'none', 'mark', 0)],
  [0x91, op('FROZENSET', 'none', 'mark', 1)],
  [0x92, op('NEWOBJ_EX', 'none', 3, 1)],
  [0x93, op('STACK_GLOBAL', 'none', 2, 1)],
  [0x94, op('MEMOIZE', 'none', 0, 0)],
  [0x95, op('FRAME', 'u64', 0, 0)],
  [0x96, op('BYTEARRAY8', 8, 0, 1)],
  [0x97, op('NEXT_BUFFER', 'none', 0, 1)],
  [0x98, op('READONLY_BUFFER', 'none', 0, 0)],
];

const BY_CODE: readonly (Opcode | undefined)[] = (() => {
  const table = new Array<Opcode | undefined>(256).fill(undefined);
  for (const [code, opcode] of OPCODES) table[typeof code === 'number' ? code : code.charCodeAt(0)] = opcode;
  return table;
})();

/** What one pickle may cost: a mixture-of-experts checkpoint with its Adam state has less than half of it. */
const MAX_OPCODES = 4_000_000;

/** The bytes end before the pickle does: more of the file may help. */
export class PickleEnds extends AppError {
  constructor(message: string) {
    super('invalid_source', message);
  }
}

/** The instructions of one pickle, one after another. */
export class PickleReader {
  readonly #bytes: Buffer;
  /** For messages: which file, which part of it. */
  readonly #where: string;
  #position: number;
  #count = 0;
  /** Of the instruction last read. */
  #start = 0;
  #from = 0;
  #to = 0;

  constructor(bytes: Buffer, start: number, where: string) {
    this.#bytes = bytes;
    this.#position = start;
    this.#where = where;
  }

  /** Behind the instruction last read. */
  get position(): number {
    return this.#position;
  }

  fault(what: string): AppError {
    return new AppError('invalid_source', `${this.#where}: the pickle is broken at byte ${this.#start}: ${what}`);
  }

  /** AppError invalid_source when there is no such opcode, or its argument does not fit into the bytes. */
  next(): Opcode {
    this.#start = this.#position;
    const code = this.#bytes[this.#position];
    if (code === undefined) throw this.#ends();
    const opcode = BY_CODE[code];
    if (!opcode) throw this.fault(`0x${code.toString(16)} is no opcode`);
    if (++this.#count > MAX_OPCODES) throw this.fault(`it has more than ${MAX_OPCODES} instructions`);
    const { argument } = opcode;
    this.#from = this.#position + 1;
    if (argument === 'none') this.#to = this.#from;
    else if (argument === 'line') this.#to = this.#lineEnd(this.#from) + 1;
    else if (argument === 'two-lines') this.#to = this.#lineEnd(this.#lineEnd(this.#from) + 1) + 1;
    else if (typeof argument === 'string') this.#to = this.#from + FIXED[argument];
    else {
      this.#need(this.#from + argument);
      const length = this.#unsigned(this.#from, argument);
      this.#from += argument;
      this.#to = this.#from + length;
    }
    this.#need(this.#to);
    this.#position = this.#to;
    return opcode;
  }

  /** The argument as it stands in the file. */
  bytes(): Buffer {
    return this.#bytes.subarray(this.#from, this.#to);
  }

  /** An index into the memo, which is kept as an array. AppError when it is beyond any that could have been filled. */
  index(argument: Argument): number {
    const index = this.number(argument);
    if (index > this.#bytes.length) throw this.fault(`the memo has no place ${index}`);
    return index;
  }

  /** u8, u16, i32, u32, f64 or a line of decimal digits. */
  number(argument: Argument): number {
    const at = this.#from;
    if (argument === 'i32') return this.#bytes.readInt32LE(at);
    if (argument === 'f64') return this.#bytes.readDoubleBE(at);
    if (argument !== 'line') return this.#unsigned(at, this.#to - at);
    const line = this.lines()[0] ?? '';
    if (!/^\d{1,15}$/.test(line)) throw this.fault(`${JSON.stringify(line)} is no index`);
    return Number(line);
  }

  /** AppError when it is not UTF-8. */
  text(): string {
    try {
      return UTF8.decode(this.bytes());
    } catch {
      throw this.fault('a text is not UTF-8');
    }
  }

  lines(): string[] {
    return this.bytes().toString('utf8').split('\n').slice(0, -1);
  }

  #lineEnd(from: number): number {
    const end = this.#bytes.indexOf(0x0a, from);
    if (end === -1) throw this.#ends();
    return end;
  }

  #unsigned(at: number, bytes: number): number {
    return bytes === 8 ? Number(this.#bytes.readBigUInt64LE(at)) : this.#bytes.readUIntLE(at, bytes);
  }

  #need(end: number): void {
    if (end > this.#bytes.length) throw this.#ends();
  }

  #ends(): PickleEnds {
    return new PickleEnds(
      `${this.#where}: the pickle is truncated or broken: an instruction at byte ${this.#start} does not end`,
    );
  }
}

const FIXED = { u8: 1, u16: 2, i32: 4, u32: 4, u64: 8, f64: 8 } as const;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
