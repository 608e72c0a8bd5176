/**
 * The fields of a recipe as people read them: where each stands, what it may be, its default, its meaning. Made of the schema, so that
 * nothing is documented that is not checked. Pure.
 */
import { z } from 'zod';
import { Recipe } from './recipe.ts';

/** What is used of JSON Schema. */
export interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

export interface RecipeField {
  /** `training.max_steps` */
  readonly path: string;
  /** `a whole number from 1, or null` */
  readonly allowed: string;
  /** As YAML; empty for a field that must be given, or that only some kinds have. */
  readonly fallback: string;
  readonly meaning: string;
}

// The shapes of JSON Schema are wider than what zod makes of a recipe.
const ROOT = z.toJSONSchema(Recipe, { io: 'input' }) as SchemaNode;

export function recipeFields(): RecipeField[] {
  const fields = new Map<string, RecipeField>();
  const visit = (node: SchemaNode, path: string) => {
    for (const [key, child] of Object.entries(propertiesOf(node))) {
      const place = path === '' ? key : `${path}.${key}`;
      const isSection = Object.keys(propertiesOf(child)).length > 0;
      if (!fields.has(place)) {
        fields.set(place, {
          path: place,
          allowed: isSection ? '' : inWords(child),
          fallback: isSection || child.default === undefined ? '' : JSON.stringify(child.default),
          meaning: child.description ?? '',
        });
      }
      visit(child, place);
    }
  };
  visit(ROOT, '');
  return [...fields.values()];
}

/** Undefined where the recipe has no such place. */
export function schemaAt(path: readonly PropertyKey[]): SchemaNode | undefined {
  let node: SchemaNode | undefined = ROOT;
  for (const part of path) {
    node =
      typeof part === 'number'
        ? alternatives(node).find(({ items }) => items)?.items
        : propertiesOf(node)[String(part)];
    if (node === undefined) return undefined;
  }
  return node;
}

/** Of all kinds it may be. */
export function propertiesOf(node: SchemaNode): Readonly<Record<string, SchemaNode>> {
  const all: Record<string, SchemaNode> = {};
  for (const { properties = {} } of alternatives(node)) {
    for (const [key, child] of Object.entries(properties)) {
      const known = all[key];
      all[key] = known === undefined || isSame(known, child) ? (known ?? child) : merged(known, child);
    }
  }
  return all;
}

/** `one of a, b`, `a whole number from 1, or null`. */
export function inWords(node: SchemaNode): string {
  const kinds = alternatives(node);
  const words = kinds
    .filter(({ type }) => type !== 'null')
    .flatMap((kind) => (kinds.length > 1 && kind.const !== undefined ? [] : oneInWords(kind)));
  const constants =
    kinds.length > 1 ? kinds.flatMap((kind) => (kind.const === undefined ? [] : [String(kind.const)])) : [];
  const nothing = kinds.some(({ type }) => type === 'null') ? ['null'] : [];
  return [...new Set([...constants, ...words, ...nothing])].join(' or ');
}

function oneInWords(node: SchemaNode): string {
  if (node.const !== undefined) return String(node.const);
  if (node.enum) return `one of ${node.enum.join(', ')}`;
  switch (node.type) {
    case 'integer':
      return `a whole number${rangeInWords(node)}`;
    case 'number':
      return `a number${rangeInWords(node)}`;
    case 'boolean':
      return 'true or false';
    case 'string':
      return 'a text';
    case 'array':
      return `a list of ${
        node.items
          ? inWords(node.items)
              .replace(/^a text$/, 'texts')
              .replace(/^one of /, '')
          : 'values'
      }`;
    default:
      return 'a section';
  }
}

function rangeInWords({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: SchemaNode): string {
  const from =
    exclusiveMinimum !== undefined
      ? ` above ${exclusiveMinimum}`
      : minimum === undefined || minimum <= Number.MIN_SAFE_INTEGER
        ? ''
        : ` from ${minimum}`;
  const to =
    exclusiveMaximum !== undefined
      ? ` and below ${exclusiveMaximum}`
      : maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER
        ? ''
        : ` to ${maximum}`;
  return `${from}${to}`;
}

function alternatives(node: SchemaNode): readonly SchemaNode[] {
  const inner = node.anyOf ?? node.oneOf;
  return inner === undefined ? [node] : inner.flatMap(alternatives);
}

function isSame(a: SchemaNode, b: SchemaNode): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function merged(a: SchemaNode, b: SchemaNode): SchemaNode {
  const description = a.description ?? b.description;
  return { ...(description === undefined ? {} : { description }), anyOf: [a, b] };
}
