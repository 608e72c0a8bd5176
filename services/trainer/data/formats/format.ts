/**
 * What a format of records is, and what its conversions share. Knows none of them.
 */
import type { Example } from '../canonical.ts';

export const FORMAT_NAMES = ['text', 'messages', 'sharegpt', 'chat', 'alpaca', 'qa', 'prompt-completion'] as const;
export type FormatName = (typeof FORMAT_NAMES)[number];

export type Fields = Readonly<Record<string, unknown>>;

export interface Format {
  readonly name: FormatName | 'preference';
  /** By its fields alone: their values may still be wrong. */
  recognizes(fields: Fields): boolean;
  /** BadExample says what is wrong. */
  convert(fields: Fields): Example;
}

/** A record that cannot be learnt from. It is counted and listed, and the work goes on. */
export class BadExample extends Error {
  override readonly name = 'BadExample';
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A field's text, with line ends and halves of characters put right. Numbers and booleans are texts of tables. */
export function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value === 'string') return cleanText(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new BadExample(`${name} ${value === undefined || value === null ? 'is missing' : 'is no text'}`);
}

/** As textOf; undefined when the field is absent or null or empty. */
export function optionalText(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  return value === undefined || value === null || value === '' ? undefined : textOf(fields, name);
}

/** As textOf; blank is not enough: an empty answer would teach to say nothing. */
export function filledText(fields: Fields, name: string): string {
  const text = textOf(fields, name);
  if (text.trim() === '') throw new BadExample(`${name} is empty`);
  return text;
}

export function cleanText(text: string): string {
  return text.replaceAll('\r\n', '\n').toWellFormed();
}

export function has(fields: Fields, ...names: readonly string[]): boolean {
  return names.every((name) => Object.hasOwn(fields, name));
}
