/**
 * Runs the part of pickle that torch.save writes and makes plain data of it. REDUCE and NEWOBJ reach what torch-globals.ts
 * knows and nothing else. Opens nothing, and costs what scanning costs.
 */
import { type Opcode, PickleReader } from './pickle-opcodes.ts';
import {
  PickleDict,
  PickleGlobal,
  PickleList,
  PickleRecord,
  PickleTuple,
  type PickleValue,
  type StorageSpec,
} from './pickle-values.ts';
import { callGlobal, isKnownGlobal, newRecord, RebuildFault, storageOf } from './torch-globals.ts';

export interface Unpickled {
  readonly value: PickleValue;
  /** Behind the pickle. */
  readonly end: number;
  /** Every storage that was named, by key. */
  readonly storages: ReadonlyMap<string, StorageSpec>;
}

/**
 * What the pickle at `start` holds.
 * AppError invalid_source when it is broken, or does what saving tensors does not need.
 */
export function unpickle(bytes: Buffer, start: number, where: string): Unpickled {
  const reader = new PickleReader(bytes, start, where);
  try {
    const machine = new Machine(reader);
    return { value: machine.run(), end: reader.position, storages: machine.storages };
  } catch (error) {
    throw error instanceof RebuildFault ? reader.fault(error.message) : error;
  }
}

class Machine {
  readonly storages = new Map<string, StorageSpec>();
  readonly #reader: PickleReader;
  readonly #stack: PickleValue[] = [];
  readonly #marks: number[] = [];
  readonly #memo: PickleValue[] = [];

  constructor(reader: PickleReader) {
    this.#reader = reader;
  }

  run(): PickleValue {
    for (;;) {
      const opcode = this.#reader.next();
      if (opcode.name === 'STOP') return this.#pop();
      this.#step(opcode);
    }
  }

  #step({ name, argument }: Opcode): void {
    const stack = this.#stack;
    switch (name) {
      case 'PROTO':
      case 'FRAME':
        return;
      case 'MARK':
        this.#marks.push(stack.length);
        return;
      case 'POP':
        if (this.#marks.at(-1) === stack.length) this.#marks.pop();
        else this.#pop();
        return;
      case 'NONE':
        stack.push(null);
        return;
      case 'NEWTRUE':
        stack.push(true);
        return;
      case 'NEWFALSE':
        stack.push(false);
        return;
      case 'BININT':
      case 'BININT1':
      case 'BININT2':
      case 'BINFLOAT':
        stack.push(this.#reader.number(argument));
        return;
      case 'LONG1':
      case 'LONG4':
        stack.push(this.#long());
        return;
      case 'BINUNICODE':
      case 'SHORT_BINUNICODE':
      case 'BINUNICODE8':
      // Python 2's texts.
      case 'BINSTRING':
      case 'SHORT_BINSTRING':
        stack.push(this.#reader.text());
        return;
      case 'BINBYTES':
      case 'SHORT_BINBYTES':
      case 'BINBYTES8':
        stack.push(this.#reader.bytes());
        return;
      case 'EMPTY_TUPLE':
        stack.push(new PickleTuple([]));
        return;
      case 'TUPLE':
        stack.push(new PickleTuple(this.#popMark()));
        return;
      case 'TUPLE1':
      case 'TUPLE2':
      case 'TUPLE3':
        stack.push(new PickleTuple(this.#popMany(Number(name.at(-1)))));
        return;
      case 'EMPTY_LIST':
        stack.push(new PickleList());
        return;
      case 'APPEND':
        this.#append([this.#pop()]);
        return;
      case 'APPENDS':
        this.#append(this.#popMark());
        return;
      case 'EMPTY_DICT':
        stack.push(new PickleDict());
        return;
      case 'SETITEM':
        this.#set(this.#popMany(2));
        return;
      case 'SETITEMS':
        this.#set(this.#popMark());
        return;
      case 'BINPUT':
      case 'LONG_BINPUT':
        this.#memo[this.#reader.index(argument)] = this.#top();
        return;
      case 'MEMOIZE':
        this.#memo.push(this.#top());
        return;
      case 'BINGET':
      case 'LONG_BINGET':
        stack.push(this.#remember(this.#reader.index(argument)));
        return;
      case 'GLOBAL':
        stack.push(this.#global(this.#reader.lines()));
        return;
      case 'STACK_GLOBAL':
        stack.push(this.#global(this.#popMany(2)));
        return;
      case 'BINPERSID': {
        const storage = storageOf(this.#pop());
        this.storages.set(storage.spec.key, storage.spec);
        stack.push(storage);
        return;
      }
      case 'REDUCE': {
        const args = this.#pop();
        stack.push(callGlobal(this.#pop(), args));
        return;
      }
      case 'NEWOBJ': {
        const args = this.#pop();
        const record = newRecord(this.#pop());
        record.states.push(args);
        stack.push(record);
        return;
      }
      case 'BUILD': {
        const state = this.#pop();
        const built = this.#top();
        if (built instanceof PickleRecord) built.states.push(state);
        // The attributes of a state dict (its _metadata) say nothing of the weights.
        else if (!(built instanceof PickleDict))
          throw this.#reader.fault('it sets the attributes of something that has none');
        return;
      }
      default:
        throw this.#reader.fault(`saving tensors does not need the opcode ${name}`);
    }
  }

  #top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined || this.#stack.length <= (this.#marks.at(-1) ?? 0)) {
      throw this.#reader.fault('the stack is empty');
    }
    return value;
  }

  #pop(): PickleValue {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #popMany(count: number): PickleValue[] {
    if (this.#stack.length - count < (this.#marks.at(-1) ?? 0)) throw this.#reader.fault('the stack is too short');
    return this.#stack.splice(-count);
  }

  #popMark(): PickleValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.#reader.fault('a mark is missing');
    return this.#stack.splice(mark);
  }

  #append(items: readonly PickleValue[]): void {
    const list = this.#top();
    if (!(list instanceof PickleList)) throw this.#reader.fault('it appends to something that is no list');
    for (const item of items) list.items.push(item);
  }

  #set(keysAndValues: readonly PickleValue[]): void {
    const dict = this.#top();
    if (!(dict instanceof PickleDict)) throw this.#reader.fault('it sets an item of something that is no dict');
    if (keysAndValues.length % 2 !== 0) throw this.#reader.fault('a key has no value');
    for (let i = 0; i < keysAndValues.length; i += 2) {
      dict.entries.push([keysAndValues[i] ?? null, keysAndValues[i + 1] ?? null]);
    }
  }

  #remember(index: number): PickleValue {
    const value = this.#memo[index];
    if (value === undefined) throw this.#reader.fault(`the memo has nothing at ${index}`);
    return value;
  }

  #global(parts: readonly PickleValue[]): PickleGlobal {
    const name = parts.map((part) => (typeof part === 'string' ? part : '?')).join('.');
    if (!isKnownGlobal(name)) throw this.#reader.fault(`it names ${JSON.stringify(name)}`);
    return new PickleGlobal(name);
  }

  /** Little-endian two's complement. A number where one holds it: sizes are written so by old files. */
  #long(): number | bigint {
    const bytes = this.#reader.bytes();
    if (bytes.length > 255) throw this.#reader.fault(`an integer has ${bytes.length} bytes`);
    if (bytes.length === 0) return 0;
    const value = BigInt.asIntN(bytes.length * 8, BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`));
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
  }
}
