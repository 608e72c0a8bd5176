/**
 * The formats of records that are known, and a record as the example it means. What a record is, is told by its fields. Knows no files.
 */
import type { Example } from '../canonical.ts';
import { alpaca } from './alpaca.ts';
import { BadExample, type Fields, type Format, type FormatName, isFields } from './format.ts';
import { messages } from './messages.ts';
import { shareGpt } from './sharegpt.ts';
import { preferencePairs, promptCompletion, questionAnswer, text, userAssistant } from './short-formats.ts';

/** The first that recognizes a record has it. */
const FORMATS: readonly Format[] = [
  preferencePairs,
  messages,
  shareGpt,
  promptCompletion,
  alpaca,
  questionAnswer,
  userAssistant,
  text,
];

export type Converted =
  | { readonly kind: 'example'; readonly format: FormatName; readonly example: Example }
  | { readonly kind: 'bad'; readonly format: FormatName | 'preference' | null; readonly reason: string };

export interface ConvertOptions {
  /** Every record is of this format, or is bad. */
  readonly format: FormatName | 'auto';
  /** Our field -> theirs; theirs may be a path: `instances.0.output`. */
  readonly columns: Readonly<Record<string, string>>;
}

export function convertRecord(value: unknown, { format: asked, columns }: ConvertOptions): Converted {
  if (!isFields(value)) return { kind: 'bad', format: null, reason: 'not an object with fields' };
  try {
    const mapped = mapColumns(value, columns);
    const fields = { ...value, ...mapped };
    // What was mapped on purpose says what a record is, whatever else it holds.
    const format =
      asked === 'auto'
        ? (FORMATS.find((one) => one.recognizes(mapped)) ?? FORMATS.find((one) => one.recognizes(fields)))
        : byName(asked);
    if (!format) return { kind: 'bad', format: null, reason: unknownFields(value) };
    try {
      if (!format.recognizes(fields)) {
        const other = FORMATS.find((one) => one.recognizes(fields));
        const what = other ? `no ${format.name} example, but one of ${other.name}` : `no ${format.name} example`;
        throw new BadExample(`${what}: ${fieldList(fields)}`);
      }
      const example = format.convert(fields);
      if (format.name === 'preference') throw new Error('a pair became an example');
      return { kind: 'example', format: format.name, example };
    } catch (error) {
      if (error instanceof BadExample) return { kind: 'bad', format: format.name, reason: error.message };
      throw error;
    }
  } catch (error) {
    if (error instanceof BadExample) return { kind: 'bad', format: null, reason: error.message };
    throw error;
  }
}

function byName(name: FormatName): Format | undefined {
  return FORMATS.find((format) => format.name === name);
}

/** The mapped fields alone. */
function mapColumns(fields: Fields, columns: Readonly<Record<string, string>>): Fields {
  const mapped = Object.entries(columns).map(([ours, theirs]) => {
    const value = valueAt(fields, theirs);
    if (value === undefined) throw new BadExample(`there is no field ${JSON.stringify(theirs)}: ${fieldList(fields)}`);
    return [ours, value] as const;
  });
  return Object.fromEntries(mapped);
}

/** A field of that name, or the end of that path. */
function valueAt(fields: Fields, path: string): unknown {
  if (Object.hasOwn(fields, path)) return fields[path];
  let value: unknown = fields;
  for (const part of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Fields)[part];
  }
  return value;
}

function unknownFields(fields: Fields): string {
  return `of no known format: ${fieldList(fields)}`;
}

function fieldList(fields: Fields): string {
  const names = Object.keys(fields);
  const shown = names.slice(0, 8).map((name) => JSON.stringify(name.slice(0, 40)));
  return `its fields are ${shown.join(', ') || 'none'}${names.length > 8 ? ` and ${names.length - 8} more` : ''}`;
}
