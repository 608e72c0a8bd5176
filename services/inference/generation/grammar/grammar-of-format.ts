/**
 * The grammar of the texts that a request's `response_format` allows.
 */
import type { ResponseFormat } from '@slipway/shared/contracts/response-format.ts';
import type { TextGrammar } from '../../engine/contract.ts';
import { Grammar, type Piece } from './grammar.ts';
import { anyObject } from './json-text.ts';
import { textOfPattern } from './regex-grammar.ts';
import { valueOfSchema } from './schema/schema-grammar.ts';
import { writeGrammar } from './write-grammar.ts';

export type LimitedFormat = Exclude<ResponseFormat, { readonly type: 'text' }>;

/** AppError invalid_field says what cannot be followed, and where. */
export function grammarOfFormat(format: LimitedFormat): TextGrammar {
  const grammar = new Grammar();
  return writeGrammar(
    grammar,
    grammar.rule(() => pieceOfFormat(grammar, format)),
  );
}

function pieceOfFormat(grammar: Grammar, format: LimitedFormat): Piece {
  if (format.type === 'regex') return textOfPattern(grammar, format.pattern);
  if (format.type === 'json_object') return anyObject(grammar);
  return valueOfSchema(grammar, format.json_schema.schema);
}
