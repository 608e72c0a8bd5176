/**
 * A recipe out of its YAML, with what --set changes in it. Lists every problem at once, each with its line and, for a key that nobody
 * knows, the one that was probably meant. Knows the schema; reads no other file.
 */
import {
  type Document,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parse,
  parseDocument,
  visit,
  YAMLParseError,
} from 'yaml';
import type { z } from 'zod';
import { nearest } from '../lib/nearest.ts';
import { AppError } from './errors.ts';
import { contradictions, Recipe } from './recipe.ts';
import { inWords, propertiesOf, recipeFields, schemaAt } from './recipe-fields.ts';

export interface RecipeSource {
  readonly text: string;
  /** What messages call it: its path as it was given. */
  readonly label: string;
  /** `training.max_steps=50`: before anything is checked. The value is YAML. */
  readonly changes?: readonly string[];
}

type Path = readonly PropertyKey[];

/** That are told of one section, and of all. */
const MOST_PROBLEMS = 50;

export interface ParsedRecipe {
  /** With every default filled in. */
  readonly recipe: Recipe;
  /** Whether --set gave this field, such as `model.base`, or a part of it. */
  isChanged(field: string): boolean;
}

/** AppError invalid_field lists every problem. */
export function parseRecipe({ text, label, changes = [] }: RecipeSource): ParsedRecipe {
  if (text.includes('\0')) throw invalid(label, ['it is no text']);
  const lines = new LineCounter();
  const { document, root } = read(text, label, lines);
  if (!isRecord(root)) throw invalid(label, ['it is no section with keys such as name, model and data']);
  const changed = changes.map((change) => applyChange(root, change));

  const placeOf = (path: Path) => {
    const name = path
      .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
      .join('')
      .replace(/^\./, '');
    const touches = (one: Path) => one.slice(0, path.length).every((part, index) => path[index] === part);
    const written = lineOf(document.contents, path, lines);
    const isChanged = changed.some((one) => touches(one) && (one.length <= path.length || !written.isWhole));
    const line = isChanged ? undefined : written.line;
    return `${isChanged ? '--set ' : line === undefined ? '' : `line ${line}: `}${name}`;
  };
  const parsed = Recipe.safeParse(root);
  if (!parsed.success) {
    throw invalid(
      label,
      parsed.error.issues
        .flatMap((issue) => describeIssue(issue, root))
        .slice(0, MOST_PROBLEMS)
        .map(({ path, message }) => `${placeOf(path)} ${message}`),
    );
  }
  const found = contradictions(parsed.data).map(({ path, message }) => `${placeOf(path)}: ${message}`);
  if (found.length > 0) throw invalid(label, found);
  const isChanged = (field: string) => changed.some((path) => `${field}.`.startsWith(`${path.join('.')}.`));
  return { recipe: parsed.data, isChanged };
}

/** What is nested without end, or grows by its aliases, is refused like any other mistake. */
function read(text: string, label: string, lineCounter: LineCounter) {
  // The parser compares each key of a section with all before it.
  const document = parseDocument(text, { lineCounter, uniqueKeys: false, logLevel: 'error' });
  // What comes after the first is mostly its consequence.
  const [broken] = document.errors;
  if (broken !== undefined) {
    throw invalid(label, [`line ${lineCounter.linePos(broken.pos[0]).line}: ${inOneLine(broken)}`]);
  }
  try {
    const repeated = repeatedKey(document);
    if (repeated !== undefined) {
      throw invalid(label, [`line ${lineCounter.linePos(repeated).line}: Map keys must be unique`]);
    }
    const root: unknown = document.toJS();
    // Throws on what contains itself.
    JSON.stringify(root);
    return { document, root };
  } catch (error) {
    if (error instanceof ReferenceError && error.message.startsWith('Unresolved alias')) {
      throw invalid(label, [`${inOneLine(error)}; write a pattern in quotes: "*.txt"`]);
    }
    if (!(error instanceof RangeError || error instanceof ReferenceError || error instanceof TypeError)) throw error;
    throw invalid(label, ['it is nested too deeply, or has too many aliases']);
  }
}

/** Where a section has a key for the second time. */
function repeatedKey(document: Document): number | undefined {
  let found: number | undefined;
  visit(document, {
    Map(_, { items }) {
      const keys = new Set<unknown>();
      for (const { key } of items) {
        const name = isScalar(key) ? key.value : key;
        if (keys.has(name)) found ??= rangeOf(key);
        keys.add(name);
      }
      return found === undefined ? undefined : visit.BREAK;
    },
  });
  return found;
}

function inOneLine({ message }: Error): string {
  const line = (message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:$/, '');
  return line.length > 200 ? `${line.slice(0, 197)}...` : line;
}

function invalid(label: string, problems: readonly string[]): AppError {
  const heading = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
  return new AppError(
    'invalid_field',
    `the recipe ${label} has ${heading}:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`,
  );
}

/** Gives the path that was changed. */
function applyChange(root: Record<string, unknown>, change: string): Path {
  const [, name, value] = /^([^=\s]+?)=(.*)$/s.exec(change) ?? [];
  if (name === undefined || value === undefined)
    throw new AppError('invalid_field', `--set ${change} is not of the form training.max_steps=50`);
  const path = name.split('.');
  let section = root;
  for (const part of path.slice(0, -1)) {
    const inner = Object.hasOwn(section, part) ? section[part] : undefined;
    const next: Record<string, unknown> = isRecord(inner) ? inner : {};
    define(section, part, next);
    section = next;
  }
  define(section, path.at(-1) ?? '', changedValue(value, change));
  return path;
}

/** A pattern such as *.txt is one, although YAML has another use for its first character. */
function changedValue(value: string, change: string): unknown {
  if (/^[*&!@`%]/.test(value)) return value;
  try {
    return parse(value);
  } catch (error) {
    if (!(error instanceof YAMLParseError || error instanceof ReferenceError)) throw error;
    throw new AppError('invalid_field', `--set ${change}: its value is not valid YAML: ${inOneLine(error)}`);
  }
}

/** Also for a key such as __proto__. */
function define(section: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(section, key, { value, enumerable: true, writable: true, configurable: true });
}

interface Problem {
  readonly path: Path;
  readonly message: string;
}

/** `outside`: where the section stands that the issue is seen from. */
function describeIssue(issue: z.core.$ZodIssue, root: unknown, outside: Path = []): Problem[] {
  const path = [...outside, ...issue.path];
  const node = schemaAt(path);
  if (issue.code === 'unrecognized_keys') {
    const known = node === undefined ? [] : Object.keys(propertiesOf(node));
    return issue.keys.slice(0, MOST_PROBLEMS).map((key) => {
      const elsewhere = recipeFields().find((field) => field.path.endsWith(`.${key}`));
      const meant = elsewhere?.path ?? nearest(key, known);
      return { path: [...path, key], message: `is not known${meant === undefined ? '' : `; did you mean ${meant}?`}` };
    });
  }
  if (issue.code === 'invalid_union') {
    const inner = issue.errors.flat().filter((one) => one.code === 'unrecognized_keys' || one.path.length > 0);
    const unknown = inner.filter((one) => one.code === 'unrecognized_keys');
    const told = issue.errors.find((errors) => errors.every((one) => one.code !== 'unrecognized_keys')) ?? unknown;
    // A section of one of several kinds: what is wrong inside says more than that no kind fits.
    if (inner.length > 0) return told.flatMap((one) => describeIssue(one, root, path));
  }
  const value = valueAt(root, path);
  const allowed = node === undefined ? '' : inWords(node);
  if (value === undefined)
    return [{ path, message: `is missing${node?.description === undefined ? '' : `: ${node.description}`}` }];
  if (issue.code === 'invalid_type' && (allowed === '' || allowed === 'a section'))
    return [{ path, message: `must be a section, but is ${shown(value)}` }];
  // Words of our own stand in the schema where a pattern needs them.
  if (issue.code === 'invalid_format' || allowed === '' || allowed === 'a section')
    return [{ path, message: `is ${shown(value)}: ${issue.message}` }];
  return [{ path, message: `must be ${allowed}, but is ${shown(value)}` }];
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Reflect.get(value, part);
  }
  return value;
}

/** Of the key, or, when that is not there, of the nearest section around it. */
function lineOf(root: Node | null, path: Path, lines: LineCounter): { line: number | undefined; isWhole: boolean } {
  let node: unknown = root;
  let offset: number | undefined;
  let isWhole = true;
  for (const part of path) {
    const pair = isMap(node) ? node.items.find(({ key }) => String(key) === String(part)) : undefined;
    const item: unknown = isSeq(node) ? node.items[Number(part)] : pair?.value;
    isWhole = pair !== undefined || item !== undefined;
    if (!isWhole) break;
    offset = rangeOf(pair?.key ?? item) ?? offset;
    node = item;
  }
  return { line: offset === undefined ? undefined : lines.linePos(offset).line, isWhole };
}

function rangeOf(node: unknown): number | undefined {
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range)
    ? Number(node.range[0])
    : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 60 ? `${json.slice(0, 57)}...` : json;
}
