/**
 * A JSON schema as a grammar: every text that fits is valid, though not every valid text fits (nothing stands between values, properties
 * stand in their order, numbers have at most 15 digits). What cannot be followed is refused, with its place.
 */
import { choice, type Grammar, type Piece, text } from '../grammar.ts';
import {
  anyArray,
  anyBoolean,
  anyInteger,
  anyNumber,
  anyObject,
  anyValue,
  limitedString,
  literal,
} from '../json-text.ts';
import { stringOfPattern } from '../regex-grammar.ts';
import { arrayOf } from './array-of.ts';
import { Expander } from './expand.ts';
import { FORMATS, patternOfFormat } from './formats.ts';
import { SchemaDocument, type SchemaObject, schemaRefusal } from './located-schema.ts';
import { integerWithin, numberWithin } from './number-text.ts';
import { objectOf } from './object-of.ts';
import type { SchemaWriter } from './schema-writer.ts';
import { isOfType, type JsonType, type Shape, typeOf } from './shape.ts';

const DEEPEST = 100;

/** AppError invalid_field says which keyword where cannot be followed. */
export function valueOfSchema(grammar: Grammar, schema: SchemaObject): Piece {
  const document = new SchemaDocument(schema);
  let depth = 0;
  const writer: SchemaWriter = {
    grammar,
    expander: new Expander(document),
    value(schemas) {
      const said = schemas.filter(({ schema: one }) => one !== true);
      if (said.length === 0) return anyValue(grammar);
      const key = [...new Set(said.map(({ pointer }) => pointer))].sort().join(' ');
      return grammar.shared(`value of ${key}`, () => {
        if (++depth > DEEPEST) throw schemaRefusal(key, `values are nested more than ${DEEPEST} deep`);
        const made = choice(...writer.expander.expand(said).map((shape) => valueOfShape(writer, shape)));
        depth--;
        return made;
      });
    },
  };
  return writer.value([document.root]);
}

function valueOfShape(writer: SchemaWriter, shape: Shape): Piece {
  const { grammar } = writer;
  const { numbers, arrays, objects, pointer } = shape;
  if (shape.values) return choice(...allowedValues(shape, shape.values).map(literal));
  const types = shape.types ?? impliedTypes(shape);
  if (!types) return anyValue(grammar);
  const pieces: Readonly<Record<JsonType, () => Piece>> = {
    null: () => text('null'),
    boolean: anyBoolean,
    integer: () => (numbers ? integerWithin(grammar, numbers) : anyInteger(grammar)),
    number: () => numberOf(grammar, shape),
    string: () => stringOf(grammar, shape),
    array: () => (arrays ? arrayOf(writer, arrays) : anyArray(grammar)),
    object: () => (objects ? objectOf(writer, { pointer, ...objects }) : anyObject(grammar)),
  };
  // An integer is a number, and should have one reading.
  const written = [...types].filter((type) => !(type === 'integer' && types.has('number')));
  return choice(...written.map((type) => pieces[type]()));
}

/** Keywords about one kind of value without a `type` mean that kind. */
function impliedTypes({ numbers, strings, arrays, objects }: Shape): ReadonlySet<JsonType> | undefined {
  const types: JsonType[] = [];
  if (numbers) types.push('number');
  if (strings) types.push('string');
  if (arrays) types.push('array');
  if (objects) types.push('object');
  return types.length === 0 ? undefined : new Set(types);
}

function allowedValues(shape: Shape, values: readonly unknown[]): readonly unknown[] {
  const { types, numbers, strings, arrays, objects, pointer } = shape;
  return values.filter((value) => {
    const type = typeOf(value);
    if (types && !isOfType(type, types)) return false;
    if (typeof value === 'number') return numbers === undefined || isWithin(value, numbers);
    const said = { string: strings, array: arrays, object: objects }[type as 'string'];
    if (said === undefined) return true;
    if (typeof value !== 'string' || !strings || strings.patterns.length + strings.formats.length > 0) {
      throw schemaRefusal(pointer, `enum or const beside other keywords about ${type}s cannot be followed`);
    }
    const length = Array.from(value).length;
    return length >= strings.min && length <= strings.max;
  });
}

function isWithin(value: number, { min, max }: NonNullable<Shape['numbers']>): boolean {
  if (min && (value < min.value || (min.isExclusive && value === min.value))) return false;
  return !(max && (value > max.value || (max.isExclusive && value === max.value)));
}

function numberOf(grammar: Grammar, { numbers, pointer }: Shape): Piece {
  if (!numbers) return anyNumber(grammar);
  const piece = numberWithin(grammar, numbers);
  if (!piece) throw schemaRefusal(pointer, 'a bound has more digits than can be followed (15 in all)');
  return piece;
}

function stringOf(grammar: Grammar, { strings, pointer }: Shape): Piece {
  const { min, max, patterns, formats } = strings ?? { min: 0, max: Infinity, patterns: [], formats: [] };
  const wanted = [
    ...patterns,
    ...formats.map((format) => {
      const pattern = patternOfFormat(format);
      if (pattern !== undefined) return pattern;
      throw schemaRefusal(
        pointer,
        `the format ${JSON.stringify(format)} cannot be followed; known are ${FORMATS.join(', ')}`,
      );
    }),
  ];
  const [pattern, ...others] = wanted;
  if (others.length > 0) throw schemaRefusal(pointer, 'several patterns and formats of one string cannot be followed');
  if (pattern === undefined) return limitedString(grammar, { min, max, not: [] });
  return stringOfPattern(grammar, pattern, { min, max });
}
