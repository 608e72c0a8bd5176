/**
 * A decoded JSON body to a request in OpenAI's manner: null counts as not given, what is not known is ignored and named, what is wrong is
 * refused with the field's name. Knows no field.
 */
import type { z } from 'zod';
import { AppError } from '../errors.ts';

export interface ParsedRequest<T> {
  readonly request: T;
  /** For the client's eyes: what was ignored. */
  readonly warnings: readonly string[];
}

/** Deeper than any schema or conversation, and shallow enough for what walks it by recursion. */
const DEEPEST = 64;
const MOST_UNKNOWN = 5;
const LONGEST_SHOWN = 64;

/** AppError invalid_field with the first wrong field. */
export function parseOpenAiRequest<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  body: unknown,
): ParsedRequest<z.infer<z.ZodObject<Shape>>> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new AppError('invalid_field', 'the body must be a JSON object');
  }
  const given: Record<string, unknown> = {};
  const unknown: string[] = [];
  for (const [name, value] of Object.entries(body)) {
    if (value === null) continue;
    if (!Object.hasOwn(schema.shape, name)) {
      if (unknown.length <= MOST_UNKNOWN) unknown.push(name);
      continue;
    }
    if (isDeep(value)) throw wrong(name, `is nested more than ${DEEPEST} deep`);
    given[name] = value;
  }
  const parsed = schema.safeParse(given);
  if (!parsed.success) throw describe(parsed.error);
  return { request: parsed.data, warnings: warningsOf(unknown) };
}

function describe({ issues }: z.ZodError): AppError {
  const [issue] = issues;
  const [field = '', ...rest] = issue?.path ?? [];
  const place = rest.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return wrong(String(field), issue?.message ?? 'is wrong', place);
}

function wrong(field: string, what: string, place = ''): AppError {
  const says = what.startsWith('must ') || what.startsWith('is ') ? what : `is wrong: ${what}`;
  return new AppError('invalid_field', `${field}${place} ${says}`, { field });
}

function warningsOf(unknown: readonly string[]): string[] {
  const warnings = unknown
    .slice(0, MOST_UNKNOWN)
    .map((name) => `${name.slice(0, LONGEST_SHOWN)} is not known here and was ignored`);
  return unknown.length > MOST_UNKNOWN ? [...warnings, 'so were further fields'] : warnings;
}

/** By a stack of its own: what it looks for would overflow the one of the program. */
function isDeep(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > DEEPEST) return true;
    const next: unknown[] = [];
    for (const one of level) {
      if (typeof one !== 'object' || one === null) continue;
      for (const inner of Object.values(one)) if (typeof inner === 'object' && inner !== null) next.push(inner);
    }
    level = next;
  }
  return false;
}
