/**
 * Schemas and where they stand in their document: what a `$ref` means, which keywords can be followed, how large a document may be. Knows
 * no keyword's meaning.
 */
import { nearest } from '@slipway/shared/lib/nearest.ts';
import { refusal } from '../grammar.ts';

export type SchemaObject = Readonly<Record<string, unknown>>;

export interface LocatedSchema {
  /** A JSON pointer as a fragment: `#/properties/name`. */
  readonly pointer: string;
  readonly schema: boolean | SchemaObject;
}

const FOLLOWED = [
  ...['$ref', 'allOf', 'anyOf', 'oneOf', 'type', 'enum', 'const'],
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  ...['minLength', 'maxLength', 'pattern', 'format'],
  ...['items', 'prefixItems', 'additionalItems', 'minItems', 'maxItems', 'uniqueItems'],
  ...['properties', 'required', 'additionalProperties', 'unevaluatedProperties', 'patternProperties', 'propertyNames'],
  ...['minProperties', 'maxProperties'],
];

/** They say something about values, but forbid none. */
const WITHOUT_EFFECT = [
  ...['$schema', '$id', '$comment', '$defs', '$anchor', '$vocabulary', 'definitions', 'discriminator', 'externalDocs'],
  ...['title', 'description', 'default', 'example', 'examples', 'deprecated', 'readOnly', 'writeOnly'],
  ...['contentEncoding', 'contentMediaType', 'contentSchema'],
];

const KNOWN = new Set([...FOLLOWED, ...WITHOUT_EFFECT]);

const NOT_FOLLOWED = [
  ...['not', 'if', 'then', 'else', 'dependentRequired', 'dependentSchemas', 'dependencies', 'unevaluatedItems'],
  ...['contains', 'minContains', 'maxContains', '$dynamicRef', '$dynamicAnchor', '$recursiveRef', 'nullable'],
];

const DEEPEST = 64;
const MOST_VALUES = 20_000;

export class SchemaDocument {
  readonly root: LocatedSchema;
  readonly #checked = new Set<string>();

  /** AppError invalid_field when it is too large. */
  constructor(root: SchemaObject) {
    requireModest(root);
    this.root = this.located('#', root);
  }

  /** AppError invalid_field when it is no schema, or has a keyword that cannot be followed. */
  located(pointer: string, value: unknown): LocatedSchema {
    if (typeof value === 'boolean') return { pointer, schema: value };
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw schemaRefusal(pointer, 'there should be a schema: an object, true or false');
    }
    // Any object can be looked into by name; what comes out stays unknown.
    const schema = value as SchemaObject;
    this.#requireKnown(pointer, schema);
    return { pointer, schema };
  }

  /** What a `$ref` at `pointer` points at. */
  resolve(pointer: string, ref: unknown): LocatedSchema {
    if (typeof ref !== 'string' || !(ref === '#' || ref.startsWith('#/'))) {
      throw schemaRefusal(pointer, '$ref should point into this schema: "#" or "#/..."');
    }
    let value: unknown = this.root.schema;
    for (const step of ref.split('/').slice(1)) {
      const name = decode(step).replaceAll('~1', '/').replaceAll('~0', '~');
      const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, name);
      if (!isThere)
        throw schemaRefusal(pointer, `$ref points at ${JSON.stringify(ref.slice(0, 200))}, which is not there`);
      value = Reflect.get(value as object, name);
    }
    return this.located(ref, value);
  }

  #requireKnown(pointer: string, schema: SchemaObject): void {
    if (this.#checked.has(pointer)) return;
    this.#checked.add(pointer);
    for (const keyword of Object.keys(schema)) {
      if (KNOWN.has(keyword) || keyword.startsWith('x-')) continue;
      if (NOT_FOLLOWED.includes(keyword)) throw schemaRefusal(pointer, `"${keyword}" cannot be followed`);
      const hint = nearest(keyword, FOLLOWED);
      const meant = hint === undefined ? '' : `; did you mean ${hint}?`;
      throw schemaRefusal(pointer, `${JSON.stringify(keyword.slice(0, 60))} is not a known keyword${meant}`);
    }
  }
}

export function schemaRefusal(pointer: string, fault: string) {
  return refusal(`${fault} (at ${pointer.length > 200 ? `${pointer.slice(0, 200)}...` : pointer})`);
}

/** A name as a step of a pointer. */
export function step(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

function decode(step: string): string {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}

/** Without recursion: a body of some megabytes can be nested a million deep. */
function requireModest(root: SchemaObject): void {
  const pending: { readonly value: unknown; readonly depth: number }[] = [{ value: root, depth: 0 }];
  let values = 0;
  for (let next = pending.pop(); next; next = pending.pop()) {
    const { value, depth } = next;
    if (typeof value !== 'object' || value === null) continue;
    if (depth === DEEPEST) throw refusal(`the schema is nested more than ${DEEPEST} deep`);
    const inner = Object.values(value);
    values += inner.length;
    if (values > MOST_VALUES) throw refusal(`the schema has more than ${MOST_VALUES} values; ask for less at once`);
    for (const one of inner) pending.push({ value: one, depth: depth + 1 });
  }
}
