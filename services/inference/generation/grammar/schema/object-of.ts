/**
 * Objects of a shape as grammars: which properties there are, which of them must be there, and which others may be.
 */
import { choice, type Piece } from '../grammar.ts';
import { limitedString, pair } from '../json-text.ts';
import { stringOfPattern } from '../regex-grammar.ts';
import { type LocatedSchema, schemaRefusal } from './located-schema.ts';
import { objectText } from './object-text.ts';
import type { SchemaWriter } from './schema-writer.ts';
import type { Properties, Shape } from './shape.ts';

/** What a property's name may be. */
type Names =
  | { readonly kind: 'any' }
  | { readonly kind: 'listed'; readonly names: readonly string[] }
  | { readonly kind: 'written'; readonly name: Piece };

export function objectOf(
  writer: SchemaWriter,
  { pointer, properties: parts, min, max }: NonNullable<Shape['objects']> & { readonly pointer: string },
): Piece {
  const { grammar } = writer;
  const refuse = (fault: string) => schemaRefusal(pointer, fault);
  const required = new Set(parts.flatMap((part) => part.required));
  const said = new Set([...parts.flatMap((part) => [...part.named.keys()]), ...required]);
  const patterns = parts.flatMap(({ byPattern }) => byPattern);
  const names = namesOf(writer, refuse, parts);
  if (patterns.length > 0 && (patterns.length > 1 || said.size > 0 || names.kind !== 'any')) {
    throw refuse('patternProperties can be followed with one pattern, and without properties and propertyNames');
  }
  if (names.kind === 'written' && said.size > 0) {
    throw refuse('propertyNames beside properties can be followed as an enum only');
  }

  const isClosed = parts.some(({ others }) => others?.schema === false);
  const isOpened = said.size === 0 || parts.some(({ others }) => others !== undefined);
  const listed = names.kind === 'listed' ? new Set(names.names) : undefined;
  const all = listed
    ? [...(isClosed || !isOpened ? [] : listed), ...said].filter((name) => listed.has(name))
    : [...said];
  const named = [...new Set(all)];
  if (min > Math.max(required.size, 1) && min > named.length) {
    throw refuse('minProperties above the number of named properties cannot be followed');
  }
  const isRequired = (name: string) => required.has(name) || min > Math.max(required.size, 1);
  if (required.size > max || [...required].some((name) => listed && !listed.has(name))) return choice();
  if (named.length > max && required.size < max) {
    throw refuse('maxProperties below the number of named properties cannot be followed');
  }

  const written = named.length > max ? named.filter(isRequired) : named;
  const properties = written.map((name) => ({
    name,
    value: writer.value(parts.flatMap((part) => part.named.get(name) ?? part.others ?? [])),
    isRequired: isRequired(name),
  }));
  const other = otherPair();
  return objectText(grammar, { properties, other, mayBeEmpty: min === 0 });

  function otherPair(): { readonly pair: Piece; readonly most: number } | undefined {
    const most = max - named.length;
    const [pattern] = patterns;
    if (pattern) {
      const name = stringOfPattern(grammar, pattern[0], { min: 0, max: Infinity });
      const others = parts.flatMap((part) => (part.byPattern.length > 0 ? [] : (part.others ?? [])));
      return { pair: pair(name, writer.value([pattern[1], ...others])), most };
    }
    if (isClosed || !isOpened || listed) return undefined;
    const value = writer.value(parts.flatMap(({ others }) => others ?? []));
    const free = limitedString(grammar, { min: 0, max: Infinity, not: named });
    return { pair: pair(names.kind === 'written' ? names.name : free, value), most };
  }
}

function namesOf(
  { grammar, expander }: SchemaWriter,
  refuse: (fault: string) => Error,
  parts: readonly Properties[],
): Names {
  const schemas: readonly LocatedSchema[] = parts.flatMap(({ names }) => names ?? []);
  if (schemas.length === 0) return { kind: 'any' };
  const shapes = expander.expand(schemas).filter(({ types }) => !types || types.has('string'));
  if (shapes.some(({ values, strings }) => !values && !strings)) return { kind: 'any' };
  if (shapes.every(({ values }) => values !== undefined)) {
    const names = shapes.flatMap(({ values }) => values ?? []).filter((value) => typeof value === 'string');
    return { kind: 'listed', names };
  }
  const [{ values, strings } = { values: undefined, strings: undefined }, ...others] = shapes;
  if (others.length > 0 || values || !strings || strings.patterns.length + strings.formats.length > 1) {
    throw refuse('propertyNames can be followed as an enum, a pattern or lengths');
  }
  if (strings.formats.length > 0) throw refuse('propertyNames with a format cannot be followed');
  const [pattern] = strings.patterns;
  const name =
    pattern === undefined
      ? limitedString(grammar, { min: strings.min, max: strings.max, not: [] })
      : stringOfPattern(grammar, pattern, strings);
  return { kind: 'written', name };
}
