/**
 * A grammar as xgrammar reads it. What can never be completed is left out, so that a text cannot run into it.
 */
import type { TextGrammar } from '../../engine/contract.ts';
import { type Grammar, type Piece, refusal } from './grammar.ts';
import type { ByteRange } from './utf8.ts';

/** Texts that need no escapes. */
const PLAIN = /^[a-zA-Z0-9 _:,.{}[\]-]*$/;

type Rules = ReadonlyMap<string, Piece | undefined>;

/** AppError invalid_field when no text fits. */
export function writeGrammar(grammar: Grammar, root: Piece): TextGrammar {
  const completable = findCompletable(grammar.rules);
  const whole = prune(root, completable);
  if (!whole) throw refusal('no text can ever fit it');
  const lines = [`root ::= ${write(whole)}`];
  const used = new Set<string>();
  const pending = [whole];
  for (let piece = pending.pop(); piece; piece = pending.pop()) {
    if (piece.type === 'sequence') pending.push(...piece.parts);
    else if (piece.type === 'choice') pending.push(...piece.options);
    else if (piece.type === 'rule' && !used.has(piece.name)) {
      used.add(piece.name);
      const body = prune(grammar.rules.get(piece.name), completable);
      if (!body) throw new Error(`rule ${piece.name} was kept but cannot be completed`);
      lines.push(`${piece.name} ::= ${write(body)}`);
      pending.push(body);
    }
  }
  return { ebnf: lines.join('\n'), limits: grammar.limits };
}

/** The rules that some finite text fits. Rules mostly use those defined before or just after them, so both directions are taken in turn. */
function findCompletable(rules: Rules): ReadonlySet<string> {
  const found = new Set<string>();
  let names = [...rules.keys()];
  for (let before = -1; found.size > before; names = names.toReversed()) {
    before = found.size;
    for (const name of names) {
      if (!found.has(name) && isCompletable(rules.get(name), found)) found.add(name);
    }
  }
  return found;
}

function isCompletable(piece: Piece | undefined, rules: ReadonlySet<string>): boolean {
  switch (piece?.type) {
    case 'sequence':
      return piece.parts.every((part) => isCompletable(part, rules));
    case 'choice':
      return piece.options.some((option) => isCompletable(option, rules));
    case 'rule':
      return rules.has(piece.name);
    default:
      return piece !== undefined;
  }
}

function prune(piece: Piece | undefined, rules: ReadonlySet<string>): Piece | undefined {
  if (!piece || !isCompletable(piece, rules)) return undefined;
  if (piece.type === 'sequence') return { ...piece, parts: piece.parts.flatMap((part) => prune(part, rules) ?? []) };
  if (piece.type === 'choice')
    return { ...piece, options: piece.options.flatMap((option) => prune(option, rules) ?? []) };
  return piece;
}

function write(piece: Piece): string {
  switch (piece.type) {
    case 'text':
      return `"${PLAIN.test(piece.text) ? piece.text : Array.from(piece.text, writeLetter).join('')}"`;
    case 'byte':
      return writeBytes(piece.ranges);
    case 'sequence':
      return piece.parts.length === 0 ? '""' : piece.parts.map(write).join(' ');
    case 'choice':
      return `(${piece.options.map(write).join(' | ')})`;
    case 'rule':
      return piece.name;
  }
}

function writeLetter(letter: string): string {
  return PLAIN.test(letter) ? letter : escaped(letter.codePointAt(0) ?? 0);
}

/** In xgrammar a set is of bytes, whatever it says; one of a single character would be that character's UTF-8. */
function writeBytes(ranges: readonly ByteRange[]): string {
  const [first, ...others] = ranges;
  const all = first && others.length === 0 && first[0] === first[1] ? [first, first] : ranges;
  return `[${all.map(([from, to]) => (from === to ? escaped(from) : `${escaped(from)}-${escaped(to)}`)).join('')}]`;
}

function escaped(character: number): string {
  return `\\U${character.toString(16).padStart(8, '0')}`;
}
