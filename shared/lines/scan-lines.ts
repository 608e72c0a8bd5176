/**
 * Looks once at a whole file of lines before any of it is answered: how many there are, its sha256, and which names come twice. Holds a few
 * bytes per name, whatever its length. Knows nothing of what else a line holds.
 */
import { createHash } from 'node:crypto';
import { type Line, readLines } from './read-lines.ts';

export interface LineScan {
  readonly lines: number;
  /** Of the file, hexadecimal. */
  readonly sha256: string;
  /** By index, the numbers of lines whose name an earlier line has. */
  readonly repeated: ReadonlyMap<number, number>;
}

const NAME_BYTES = 12;

/** `look` gives a line's name if it has one, and may throw to end it. */
export async function scanLines(
  file: string,
  mostLineBytes: number,
  look: (line: Line) => string | undefined,
): Promise<LineScan> {
  const hash = createHash('sha256');
  const names = new Set<string>();
  const repeated = new Map<number, number>();
  let lines = 0;
  for await (const line of readLines(file, { mostBytes: mostLineBytes, onBytes: (bytes) => hash.update(bytes) })) {
    lines++;
    const name = look(line);
    if (name === undefined) continue;
    const before = names.size;
    names.add(createHash('sha256').update(name).digest().toString('latin1', 0, NAME_BYTES));
    if (names.size === before) repeated.set(line.index, line.number);
  }
  return { lines, sha256: hash.digest('hex'), repeated };
}
