/**
 * Reads the values of keywords, and says where one has a value that it cannot have.
 */
import { type SchemaObject, schemaRefusal } from './located-schema.ts';

export class Keywords {
  readonly pointer: string;
  readonly #schema: SchemaObject;

  constructor(pointer: string, schema: SchemaObject) {
    this.pointer = pointer;
    this.#schema = schema;
  }

  has(keyword: string): boolean {
    return this.#schema[keyword] !== undefined;
  }

  value(keyword: string): unknown {
    return this.#schema[keyword];
  }

  refusal(fault: string) {
    return schemaRefusal(this.pointer, fault);
  }

  number(keyword: string): number | undefined {
    return this.#read(keyword, 'a number', (value): value is number => typeof value === 'number');
  }

  count(keyword: string): number | undefined {
    const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
    return this.#read(keyword, 'a whole number from 0', isCount);
  }

  text(keyword: string): string | undefined {
    return this.#read(keyword, 'a string', (value): value is string => typeof value === 'string');
  }

  flag(keyword: string): boolean | undefined {
    return this.#read(keyword, 'true or false', (value): value is boolean => typeof value === 'boolean');
  }

  list(keyword: string): readonly unknown[] | undefined {
    return this.#read(keyword, 'an array', (value): value is readonly unknown[] => Array.isArray(value));
  }

  names(keyword: string): readonly string[] {
    const isNames = (value: unknown): value is readonly string[] =>
      Array.isArray(value) && value.every((one) => typeof one === 'string');
    return this.#read(keyword, 'an array of strings', isNames) ?? [];
  }

  entries(keyword: string): readonly (readonly [string, unknown])[] {
    const isObject = (value: unknown): value is object =>
      typeof value === 'object' && value !== null && !Array.isArray(value);
    return Object.entries(this.#read(keyword, 'an object', isObject) ?? {});
  }

  #read<T>(keyword: string, allowed: string, is: (value: unknown) => value is T): T | undefined {
    const value = this.#schema[keyword];
    if (value === undefined) return undefined;
    if (!is(value)) throw this.refusal(`${keyword} should be ${allowed}`);
    return value;
  }
}
