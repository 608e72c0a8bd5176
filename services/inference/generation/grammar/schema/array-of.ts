/**
 * Arrays of a shape as grammars. Those with a list of first items have all of them, and others only as many as must be there unless the
 * schema says what these are.
 */
import { choice, type Piece, sequence, text } from '../grammar.ts';
import type { SchemaWriter } from './schema-writer.ts';
import type { Shape } from './shape.ts';

const COMMA = text(',');

export function arrayOf(writer: SchemaWriter, { items, min, max }: NonNullable<Shape['arrays']>): Piece {
  const listed = Math.min(Math.max(0, ...items.map(({ first }) => first.length)), max);
  const first = Array.from({ length: listed }, (_, index) =>
    writer.value(items.flatMap(({ first: all, others }) => all[index] ?? others ?? [])),
  );
  const fewest = Math.max(0, min - listed);
  const isOpen = listed === 0 || items.some(({ others }) => others !== undefined && others.schema !== false);
  const most = isOpen ? max - listed : fewest;
  if (min > max) return choice();
  const other = writer.value(items.flatMap(({ others }) => others ?? []));
  const head = first.flatMap((item, index) => (index === 0 ? [item] : [COMMA, item]));
  const more = (from: number, to: number) => writer.grammar.repeat(sequence(COMMA, other), from, to);
  if (first.length > 0) return sequence(text('['), ...head, more(fewest, most), text(']'));
  const filled = most === 0 ? choice() : sequence(other, more(Math.max(fewest, 1) - 1, most - 1));
  return sequence(text('['), fewest === 0 ? choice(text(''), filled) : filled, text(']'));
}
