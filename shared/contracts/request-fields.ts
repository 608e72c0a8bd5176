/**
 * The fields of a request's body: each with its schema, its default and its range in words, so that one message can name all that is
 * wrong. Knows no request.
 */
import { z } from 'zod';
import { nearest } from '../lib/nearest.ts';
import { AppError } from './errors.ts';

/** A field: its schema with the default, and its range in words. */
export interface Field<T> {
  readonly schema: z.ZodType<T>;
  readonly allowed: string;
}

export type ValuesOf<Fields extends Readonly<Record<string, Field<unknown>>>> = {
  readonly [Name in keyof Fields]: z.infer<Fields[Name]['schema']>;
};

const MOST_UNKNOWN = 5;
const LONGEST_NAME = 64;

export function integer<T>(min: number, max: number, fallback: T): Field<number | T> {
  return {
    schema: z.number().int().min(min).max(max).or(absent(fallback)),
    allowed: `an integer from ${min} to ${max}`,
  };
}

export function number(min: number, max: number, fallback: number, allowed: string): Field<number> {
  return { schema: z.number().min(min).max(max).or(absent(fallback)), allowed };
}

export function flag(fallback: boolean): Field<boolean> {
  return { schema: z.boolean().or(absent(fallback)), allowed: 'true or false' };
}

/** Of a list of token ids that is checked by hand, for those who read schemas. */
export const TOKEN_IDS_META = { type: 'array', items: { type: 'integer', minimum: 0 } } as const;

export function absent<T>(fallback: T) {
  return z.undefined().transform(() => fallback);
}

/**
 * A decoded JSON body; null counts as not given. `essential`: what it must have at least, in words. `findContradictions`: what is wrong
 * with values that are right one by one. AppError invalid_field names every wrong field and its range.
 */
export function parseFields<Fields extends Readonly<Record<string, Field<unknown>>>>(
  body: unknown,
  fields: Fields,
  essential: string,
  findContradictions: (values: ValuesOf<Fields>) => string[] = () => [],
): ValuesOf<Fields> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new AppError(
      'invalid_field',
      `the body must be a JSON object with at least ${essential}, but is ${shown(body)}`,
    );
  }
  const known = Object.keys(fields);
  const problems = unknownNames(body, fields).map((name) => {
    const hint = nearest(name, known);
    return `${shownName(name)} is not a known field${hint === undefined ? '' : `; did you mean ${hint}?`}`;
  });
  const parsedValues: Record<string, unknown> = {};
  for (const [name, { schema, allowed }] of Object.entries(fields)) {
    const value: unknown = Reflect.get(body, name) ?? undefined;
    const parsed = schema.safeParse(value);
    if (parsed.success) parsedValues[name] = parsed.data;
    else problems.push(`${name} must be ${allowed}, but is ${value === undefined ? 'missing' : shown(value)}`);
  }
  // Each value was parsed by the schema of its own field, which TypeScript cannot follow through the loop.
  const values = parsedValues as ValuesOf<Fields>;
  problems.push(...findContradictions(values));
  if (problems.length > 0) throw new AppError('invalid_field', problems.join('; '));
  return values;
}

/** The first few: a body of some megabytes can have a million. */
function unknownNames(body: object, fields: object): string[] {
  const unknown: string[] = [];
  for (const name of Object.keys(body)) {
    if (Object.hasOwn(fields, name)) continue;
    unknown.push(name);
    if (unknown.length === MOST_UNKNOWN) break;
  }
  return unknown;
}

function shownName(name: string): string {
  return name.length > LONGEST_NAME ? `${JSON.stringify(name.slice(0, LONGEST_NAME))}...` : JSON.stringify(name);
}

function shown(value: unknown): string {
  if (typeof value === 'string' && value.length > 60) return `a text of ${value.length} characters`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  // Not written out: nesting of a million brackets would overflow the stack.
  if (typeof value === 'object' && value !== null) return 'an object';
  const json = JSON.stringify(value);
  return json.length > 80 ? `${json.slice(0, 77)}...` : json;
}
