/**
 * The first pass over a pickle: every global it names, found without building anything. Only texts are followed through the stack
 * and the memo, since STACK_GLOBAL takes its names from there. Knows no torch.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { PickleReader } from './pickle-opcodes.ts';

export interface Scan {
  /** `module.name`, each once; `?` for what is not a text. */
  readonly globals: ReadonlySet<string>;
  /** Behind STOP. */
  readonly end: number;
  /** Why the pickle could not be read to its end; what was named before is in `globals`. */
  readonly fault: AppError | undefined;
}

const TEXT = new Set(['BINUNICODE', 'SHORT_BINUNICODE', 'BINUNICODE8', 'BINSTRING', 'SHORT_BINSTRING']);
const GETS = new Set(['GET', 'BINGET', 'LONG_BINGET']);
const PUTS = new Set(['PUT', 'BINPUT', 'LONG_BINPUT']);

/** Never throws for what is in the bytes. */
export function scanGlobals(bytes: Buffer, start: number, where: string): Scan {
  const reader = new PickleReader(bytes, start, where);
  const globals = new Set<string>();
  try {
    follow(reader, globals);
    return { globals, end: reader.position, fault: undefined };
  } catch (fault) {
    if (!(fault instanceof AppError)) throw fault;
    return { globals, end: reader.position, fault };
  }
}

function follow(reader: PickleReader, globals: Set<string>): void {
  const stack: (string | undefined)[] = [];
  const marks: number[] = [];
  const memo: (string | undefined)[] = [];
  for (;;) {
    const opcode = reader.next();
    const { name, argument, pops } = opcode;
    const top = stack.at(-1);
    if (name === 'MARK') marks.push(stack.length);
    // A mark is popped like a value where there is no value above it.
    if (name === 'POP' && marks.at(-1) === stack.length) {
      marks.pop();
      continue;
    }
    const below = stack.at(-2);
    const left = pops === 'mark' ? marks.pop() : stack.length - pops;
    if (left === undefined || left < (marks.at(-1) ?? 0)) throw reader.fault(`${name} finds too little on the stack`);
    stack.length = left;

    let pushed: string | undefined;
    if (name === 'GLOBAL' || name === 'INST') globals.add(reader.lines().join('.'));
    else if (name === 'STACK_GLOBAL') globals.add(`${below ?? '?'}.${top ?? '?'}`);
    else if (name.startsWith('EXT')) globals.add(`copyreg extension ${reader.number(argument)}`);
    else if (TEXT.has(name)) pushed = reader.bytes().toString('utf8');
    else if (name === 'STRING' || name === 'UNICODE') pushed = reader.lines()[0]?.replace(/^(['"])(.*)\1$/, '$2');
    else if (name === 'DUP') pushed = top;
    else if (GETS.has(name)) pushed = memo[reader.index(argument)];
    else if (PUTS.has(name)) memo[reader.index(argument)] = top;
    else if (name === 'MEMOIZE') memo.push(top);
    if (opcode.pushes === 1) stack.push(pushed);
    if (name === 'STOP') return;
  }
}
