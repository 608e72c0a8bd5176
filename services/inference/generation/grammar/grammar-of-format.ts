/**
 * The grammar of the texts that a request's `response_format` allows, or of calls of its tools.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { AnswerForm, CallForm, CallsForm } from '@slipway/shared/contracts/response-format.ts';
import type { TextGrammar } from '../../engine/contract.ts';
import { choice, Grammar, type Piece, sequence, text } from './grammar.ts';
import { anyObject } from './json-text.ts';
import { textOfPattern } from './regex-grammar.ts';
import { valueOfSchema } from './schema/schema-grammar.ts';
import { writeGrammar } from './write-grammar.ts';

export type LimitedFormat = Exclude<AnswerForm, { readonly type: 'text' }>;

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
  if (format.type === 'tool_calls') return callsOf(grammar, format);
  return valueOfSchema(grammar, format.json_schema.schema);
}

function callsOf(grammar: Grammar, { open, calls, separator, close, most, otherwise }: CallsForm): Piece {
  const one = grammar.rule(() =>
    choice(
      ...calls.map((call, index) =>
        sequence(text(call.before), argumentsOf(grammar, call, `tool ${index}`), text(call.after)),
      ),
    ),
  );
  const more = sequence(text(separator), one);
  const all = sequence(text(open), one, grammar.repeat(more, 0, most - 1), text(close));
  return otherwise === undefined ? all : choice(all, pieceOfFormat(grammar, otherwise));
}

function argumentsOf(grammar: Grammar, { name, schema }: CallForm, scope: string): Piece {
  try {
    return grammar.within(scope, () => grammar.rule(() => valueOfSchema(grammar, schema)));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const fault = error.message.replace(/^response_format: /, '');
    throw new AppError(
      'invalid_field',
      `tools: a call of ${name} cannot be enforced, because of its parameters: ${fault}`,
      {
        field: 'tools',
      },
    );
  }
}
