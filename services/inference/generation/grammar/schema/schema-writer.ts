/**
 * What the parts of a schema are written with.
 */
import type { Grammar, Piece } from '../grammar.ts';
import type { Expander } from './expand.ts';
import type { LocatedSchema } from './located-schema.ts';

export interface SchemaWriter {
  readonly grammar: Grammar;
  readonly expander: Expander;
  /** A value that is valid for all these schemas. */
  value(schemas: readonly LocatedSchema[]): Piece;
}
