/**
 * Reads typed settings from flags, environment, a parsed file and defaults, in that order of strength, and lists every
 * problem at once. Knows nothing of which settings there are.
 */
import { z } from 'zod';
import { nearest } from './nearest.ts';

export interface Setting<T> {
  /** Accepts what a file gives and the strings of flags and environment. */
  readonly schema: z.ZodType<T>;
  readonly fallback: T;
  /** For people, in error messages: `an integer from 1 to 512`. */
  readonly allowed: string;
  readonly env?: string;
  /** Path in the file: `GENERATION.MAX_NEW_TOKENS`. */
  readonly file?: string;
}

type SettingTable = Readonly<Record<string, Setting<unknown>>>;
export type SettingsOf<Table extends SettingTable> = {
  readonly [Name in keyof Table]: Table[Name] extends Setting<infer T> ? T : never;
};

export interface SettingSources {
  /** By the setting's own name. Undefined: not given. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file?: { readonly label: string; readonly root: unknown };
}

type Place = Omit<Setting<unknown>, 'schema' | 'fallback' | 'allowed'>;

export function integer<T extends number | null>(
  min: number,
  max: number,
  fallback: T,
  place: Place,
): Setting<T | number> {
  const schema = z.preprocess(numberFromText, z.number().int().min(min).max(max));
  return { schema, fallback, allowed: `an integer from ${min} to ${max}`, ...place };
}

export function text<T extends string | null>(fallback: T, place: Place): Setting<T | string> {
  return { schema: z.string().min(1), fallback, allowed: 'a text that is not empty', ...place };
}

export function choice<T extends string>(values: readonly T[], fallback: T, place: Place): Setting<T> {
  return { schema: z.enum(values), fallback, allowed: `one of ${values.join(', ')}`, ...place };
}

/** `a, b` in flags and environment; a list, or the same, in a file. */
export function list(isItem: (item: string) => boolean, allowed: string, place: Place): Setting<readonly string[]> {
  const items = z.array(z.string().refine(isItem));
  return { schema: z.preprocess(itemsFromText, items), fallback: [], allowed, ...place };
}

/** `true` and `false`, in every place. */
export function flag(fallback: boolean, place: Place): Setting<boolean> {
  const fromText = (value: unknown) => (value === 'true' ? true : value === 'false' ? false : value);
  return { schema: z.preprocess(fromText, z.boolean()), fallback, allowed: 'true or false', ...place };
}

const UNITS: Readonly<Record<string, number>> = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

/** Bytes, as a number or with a unit: `512MiB`, `1.5 GiB`. */
export function bytes<T extends number | null>(fallback: T, place: Place): Setting<T | number> {
  const schema = z.preprocess(bytesFromText, z.number().positive());
  return { schema, fallback, allowed: 'a number of bytes above 0, such as 1.5GiB (KiB, MiB, GiB, TiB)', ...place };
}

function bytesFromText(value: unknown): unknown {
  const [, number, unit] = (typeof value === 'string' && /^\s*(\d+(?:\.\d+)?)\s*([KMGT]iB)?\s*$/.exec(value)) || [];
  return number === undefined ? value : Math.round(Number(number) * (UNITS[unit ?? ''] ?? 1));
}

function itemsFromText(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  return value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function numberFromText(value: unknown): unknown {
  return typeof value === 'string' && /^\s*[-+]?\d+\s*$/.test(value) ? Number(value) : value;
}

/** `settings` is only whole when `problems` is empty. An empty string or null counts as not given. */
export function readSettings<Table extends SettingTable>(
  table: Table,
  sources: SettingSources,
): { settings: SettingsOf<Table>; problems: string[] } {
  const problems: string[] = [];
  const leaves = sources.file ? readFile(sources.file, table, problems) : new Map<string, unknown>();
  const settings: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(table)) {
    const candidates = [
      { from: `--${kebab(name)}`, value: sources.flags[name] },
      { from: setting.env ?? '', value: setting.env === undefined ? undefined : sources.environment[setting.env] },
      {
        from: `${sources.file?.label}: ${setting.file}`,
        value: setting.file === undefined ? undefined : leaves.get(setting.file),
      },
    ];
    const given = candidates.find(({ value }) => value !== undefined && value !== null && value !== '');
    if (given === undefined) {
      settings[name] = setting.fallback;
      continue;
    }
    const parsed = setting.schema.safeParse(given.value);
    if (parsed.success) settings[name] = parsed.data;
    else problems.push(`${given.from} must be ${setting.allowed}, but is ${shown(given.value)}`);
  }
  // Each value was parsed by the schema of its own row, which TypeScript cannot follow through the loop.
  return { settings: settings as SettingsOf<Table>, problems };
}

function readFile(
  file: { label: string; root: unknown },
  table: SettingTable,
  problems: string[],
): ReadonlyMap<string, unknown> {
  const known = Object.values(table).flatMap((setting) => setting.file ?? []);
  const leaves = new Map<string, unknown>();
  const visit = (value: unknown, path: string): void => {
    const isSection = known.some((name) => path === '' || name.startsWith(`${path}.`));
    if (known.includes(path)) leaves.set(path, value);
    else if (isSection && isRecord(value)) {
      for (const [key, inner] of Object.entries(value)) visit(inner, path === '' ? key : `${path}.${key}`);
    } else if (isSection) {
      if (value !== null)
        problems.push(`${file.label}: ${path || 'the file'} must be a section with keys, but is ${shown(value)}`);
    } else problems.push(`${file.label}: ${path} is not known${hintFor(path, known)}`);
  };
  visit(file.root, '');
  return leaves;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 60 ? `${json.slice(0, 57)}...` : json;
}

function hintFor(path: string, known: readonly string[]): string {
  const hint = nearest(path, known);
  return hint === undefined ? '' : `; did you mean ${hint}?`;
}
