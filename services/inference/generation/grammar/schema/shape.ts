/**
 * One way in which a value may be: what several schemas together say of it, keyword by keyword. `$ref`, `allOf`, `anyOf` and `oneOf` have
 * been taken apart before (expand.ts). Knows no grammar.
 */
import { Keywords } from './keywords.ts';
import { type LocatedSchema, type SchemaDocument, type SchemaObject, step } from './located-schema.ts';

export type JsonType = 'null' | 'boolean' | 'integer' | 'number' | 'string' | 'array' | 'object';

/** OpenAPI's; all but the first allow what can be written anyway. */
const NUMBER_FORMATS = ['int32', 'int64', 'float', 'double'];

const TYPES: readonly JsonType[] = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'];

export interface Bound {
  readonly value: number;
  readonly isExclusive: boolean;
}

export interface NumberLimits {
  readonly min: Bound | undefined;
  readonly max: Bound | undefined;
}

/** How many: characters, items, properties. */
export interface Counts {
  readonly min: number;
  /** May be Infinity. */
  readonly max: number;
}

export interface StringLimits extends Counts {
  readonly patterns: readonly string[];
  readonly formats: readonly string[];
}

/** What one schema says of the items of an array. */
export interface Items {
  readonly first: readonly LocatedSchema[];
  /** Undefined: nothing said. */
  readonly others: LocatedSchema | undefined;
}

/** What one schema says of the properties of an object. */
export interface Properties {
  readonly named: ReadonlyMap<string, LocatedSchema>;
  readonly required: readonly string[];
  readonly byPattern: readonly (readonly [pattern: string, schema: LocatedSchema])[];
  /** Undefined: nothing said. */
  readonly others: LocatedSchema | undefined;
  readonly names: LocatedSchema | undefined;
}

/** Undefined is nothing said, everywhere. */
export interface Shape {
  /** Where it is said, for messages. */
  readonly pointer: string;
  readonly types: ReadonlySet<JsonType> | undefined;
  readonly values: readonly unknown[] | undefined;
  readonly numbers: NumberLimits | undefined;
  readonly strings: StringLimits | undefined;
  readonly arrays: (Counts & { readonly items: readonly Items[] }) | undefined;
  readonly objects: (Counts & { readonly properties: readonly Properties[] }) | undefined;
}

export function anyShape(pointer: string): Shape {
  const nothing = undefined;
  return {
    pointer,
    types: nothing,
    values: nothing,
    numbers: nothing,
    strings: nothing,
    arrays: nothing,
    objects: nothing,
  };
}

/** AppError invalid_field when a keyword has a value that it cannot have, or that cannot be followed. */
export function readShape(document: SchemaDocument, pointer: string, schema: SchemaObject): Shape {
  const keywords = new Keywords(pointer, schema);
  return {
    pointer,
    types: readTypes(keywords),
    values: readValues(keywords),
    numbers: readNumbers(keywords),
    strings: readStrings(keywords),
    arrays: readArrays(document, keywords),
    objects: readObjects(document, keywords),
  };
}

/** What both say. Whether anything can be both is not decided here. */
export function both(a: Shape, b: Shape): Shape {
  return {
    pointer: a.pointer,
    types: merge(a.types, b.types, commonTypes),
    values: merge(a.values, b.values, commonValues),
    numbers: merge(a.numbers, b.numbers, (x, y) => ({ min: tighter(x.min, y.min, 1), max: tighter(x.max, y.max, -1) })),
    strings: merge(a.strings, b.strings, (x, y) => ({
      ...commonCounts(x, y),
      patterns: [...new Set([...x.patterns, ...y.patterns])],
      formats: [...new Set([...x.formats, ...y.formats])],
    })),
    arrays: merge(a.arrays, b.arrays, (x, y) => ({ ...commonCounts(x, y), items: [...x.items, ...y.items] })),
    objects: merge(a.objects, b.objects, (x, y) => ({
      ...commonCounts(x, y),
      properties: [...x.properties, ...y.properties],
    })),
  };
}

export function typeOf(value: unknown): JsonType {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  if (typeof value === 'boolean' || typeof value === 'string') return typeof value as JsonType;
  return 'object';
}

/** A number without fraction is an integer whatever its schema calls it. */
export function isOfType(type: JsonType, types: ReadonlySet<JsonType>): boolean {
  return types.has(type) || (type === 'integer' && types.has('number'));
}

function merge<T>(a: T | undefined, b: T | undefined, join: (a: T, b: T) => T): T | undefined {
  return a === undefined ? b : b === undefined ? a : join(a, b);
}

function commonTypes(a: ReadonlySet<JsonType>, b: ReadonlySet<JsonType>): ReadonlySet<JsonType> {
  return new Set(TYPES.filter((type) => isOfType(type, a) && isOfType(type, b)));
}

function commonValues(a: readonly unknown[], b: readonly unknown[]): readonly unknown[] {
  const texts = new Set(b.map(canonical));
  return a.filter((value) => texts.has(canonical(value)));
}

/** The same for equal values, in whatever order their properties stand. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).toSorted(([x], [y]) => (x < y ? -1 : 1));
  return `{${entries.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join()}}`;
}

function commonCounts(a: Counts, b: Counts): Counts {
  return { min: Math.max(a.min, b.min), max: Math.min(a.max, b.max) };
}

/** `sign` 1: of two lower bounds the higher one. */
function tighter(a: Bound | undefined, b: Bound | undefined, sign: 1 | -1): Bound | undefined {
  if (!a || !b) return a ?? b;
  if (a.value !== b.value) return a.value * sign > b.value * sign ? a : b;
  return a.isExclusive ? a : b;
}

function readTypes(keywords: Keywords): ReadonlySet<JsonType> | undefined {
  if (!keywords.has('type')) return undefined;
  const given = keywords.value('type');
  const names: readonly unknown[] = Array.isArray(given) ? given : [given];
  const types = names.flatMap((name) => TYPES.find((type) => type === name) ?? []);
  if (types.length !== names.length || types.length === 0) {
    throw keywords.refusal(`type should be one or several of ${TYPES.join(', ')}`);
  }
  return new Set(types);
}

function readValues(keywords: Keywords): readonly unknown[] | undefined {
  const values = keywords.list('enum');
  if (!keywords.has('const')) return values;
  const constant = [keywords.value('const')];
  return values ? commonValues(constant, values) : constant;
}

function readNumbers(keywords: Keywords): NumberLimits | undefined {
  const multiple = keywords.number('multipleOf');
  if (multiple !== undefined)
    throw keywords.refusal('multipleOf cannot be followed; for whole numbers the type is integer');
  const bound = (inclusive: string, exclusive: string, sign: 1 | -1) => {
    const [limit, beyond] = [keywords.number(inclusive), keywords.number(exclusive)];
    const weak = limit === undefined ? undefined : { value: limit, isExclusive: false };
    const strict = beyond === undefined ? undefined : { value: beyond, isExclusive: true };
    return tighter(weak, strict, sign);
  };
  const is32 = keywords.text('format') === 'int32';
  const inclusive = (value: number) => (is32 ? { value, isExclusive: false } : undefined);
  const min = tighter(bound('minimum', 'exclusiveMinimum', 1), inclusive(-(2 ** 31)), 1);
  const max = tighter(bound('maximum', 'exclusiveMaximum', -1), inclusive(2 ** 31 - 1), -1);
  return min || max ? { min, max } : undefined;
}

function readStrings(keywords: Keywords): StringLimits | undefined {
  const pattern = keywords.text('pattern');
  const named = keywords.text('format');
  const format = named !== undefined && NUMBER_FORMATS.includes(named) ? undefined : named;
  const [min, max] = [keywords.count('minLength'), keywords.count('maxLength')];
  if ([pattern, format, min, max].every((one) => one === undefined)) return undefined;
  return {
    min: min ?? 0,
    max: max ?? Infinity,
    patterns: pattern === undefined ? [] : [pattern],
    formats: format === undefined ? [] : [format],
  };
}

function readArrays(document: SchemaDocument, keywords: Keywords): Shape['arrays'] {
  if (keywords.flag('uniqueItems') && (keywords.count('maxItems') ?? Infinity) > 1) {
    throw keywords.refusal('uniqueItems cannot be followed');
  }
  const { pointer } = keywords;
  const located = (path: string, value: unknown) => document.located(`${pointer}/${path}`, value);
  // Before 2020-12 `items` was the list, and `additionalItems` what came after it.
  const isOldList = Array.isArray(keywords.value('items'));
  const listName = isOldList ? 'items' : 'prefixItems';
  const othersName = isOldList ? 'additionalItems' : 'items';
  const first = keywords.list(listName)?.map((item, index) => located(`${listName}/${index}`, item));
  const others = keywords.has(othersName) ? located(othersName, keywords.value(othersName)) : undefined;
  const [min, max] = [keywords.count('minItems'), keywords.count('maxItems')];
  if ([first, others, min, max].every((one) => one === undefined)) return undefined;
  return { min: min ?? 0, max: max ?? Infinity, items: first || others ? [{ first: first ?? [], others }] : [] };
}

function readObjects(document: SchemaDocument, keywords: Keywords): Shape['objects'] {
  const { pointer } = keywords;
  const located = (path: string, value: unknown) => document.located(`${pointer}/${path}`, value);
  const optional = (keyword: string) => (keywords.has(keyword) ? located(keyword, keywords.value(keyword)) : undefined);
  // Only what a schema names is ever put into an object, unless it says that more may be there.
  keywords.flag('unevaluatedProperties');
  const under = (keyword: string) =>
    keywords.entries(keyword).map(([name, value]) => [name, located(`${keyword}/${step(name)}`, value)] as const);
  const [min, max] = [keywords.count('minProperties'), keywords.count('maxProperties')];
  const properties: Properties = {
    named: new Map(under('properties')),
    required: [...new Set(keywords.names('required'))],
    byPattern: under('patternProperties'),
    others: optional('additionalProperties'),
    names: optional('propertyNames'),
  };
  const says = ['properties', 'required', 'patternProperties', 'additionalProperties', 'propertyNames'];
  const isSaid = says.some((keyword) => keywords.has(keyword));
  if (!isSaid && min === undefined && max === undefined) return undefined;
  return { min: min ?? 0, max: max ?? Infinity, properties: isSaid ? [properties] : [] };
}
