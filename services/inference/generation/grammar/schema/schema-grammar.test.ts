/** Schemas as grammars, against a validator: what is drawn is valid, and what should fit does. */
import { Ajv, type Options } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../../engine/random.ts';
import { draw, fits } from '../testing/forms.ts';
import type { SchemaObject } from './located-schema.ts';

const options = { strict: false, allErrors: true } satisfies Options;
const [current, old] = [new Ajv2020(options), new Ajv(options)];
for (const ajv of [current, old]) ajvFormats.default(ajv);

function formatOf(schema: SchemaObject) {
  return { type: 'json_schema', json_schema: { schema } } as const;
}

interface Case {
  readonly schema: SchemaObject;
  /** Values that must fit; compact, and in the schema's order. */
  readonly valid?: readonly unknown[];
  /** Of a draft before 2020-12. */
  readonly isOld?: true;
  /** Values that must not. */
  readonly invalid?: readonly unknown[];
}

const TREE = {
  $defs: {
    node: {
      type: 'object',
      properties: { value: { type: 'integer' }, children: { type: 'array', items: { $ref: '#/$defs/node' } } },
      required: ['value'],
      additionalProperties: false,
    },
  },
  $ref: '#/$defs/node',
};

const CASES: Readonly<Record<string, Case>> = {
  'an object': {
    schema: {
      type: 'object',
      properties: {
        name: { type: 'string' },
        age: { type: 'integer' },
        tags: { type: 'array', items: { type: 'string' } },
      },
      required: ['name', 'age', 'tags'],
    },
    valid: [
      { name: 'Ada', age: 36, tags: [] },
      { name: 'é"\\\n€😀', age: -5, tags: ['a', ''] },
    ],
    invalid: [{ name: 'Ada' }, { name: 1, age: 1, tags: [] }, { name: 'a', age: 1.5, tags: [] }],
  },
  'optional properties': {
    schema: {
      type: 'object',
      properties: { a: { type: 'null' }, b: { type: 'boolean' }, c: { type: 'null' }, d: { type: 'null' } },
      required: ['c'],
      additionalProperties: false,
    },
    valid: [{ c: null }, { a: null, c: null }, { b: true, c: null, d: null }, { a: null, b: false, c: null }],
    invalid: [{}, { a: null }, { a: null, d: null }],
  },
  'only optional properties': {
    schema: { type: 'object', properties: { a: { const: 1 }, b: { const: 2 } } },
    valid: [{}, { a: 1 }, { b: 2 }, { a: 1, b: 2 }],
    invalid: [{ c: 1 }],
  },
  'at least one of optional properties': {
    schema: { type: 'object', properties: { a: { const: 1 }, b: { const: 2 } }, minProperties: 1 },
    valid: [{ a: 1 }, { b: 2 }, { a: 1, b: 2 }],
    invalid: [{}],
  },
  'other properties': {
    schema: {
      type: 'object',
      properties: { a: { type: 'integer' }, ab: { type: 'integer' } },
      required: ['a'],
      additionalProperties: { type: 'string' },
    },
    valid: [{ a: 1 }, { a: 1, ab: 2 }, { a: 1, ab: 2, abc: 'x', 'é"': 'y' }],
    invalid: [
      { a: 1, ab: 'x' },
      { a: 1, ab: 2, c: 3 },
    ],
  },
  'a dictionary': {
    schema: { type: 'object', additionalProperties: { type: 'number' }, maxProperties: 3 },
    valid: [{}, { a: 1 }, { a: 1, b: -2.5e3, c: 0 }],
    invalid: [{ a: 'x' }, { a: 1, b: 2, c: 3, d: 4 }],
  },
  'a dictionary with names of a form': {
    schema: { type: 'object', propertyNames: { pattern: '^[a-z]{1,3}$' }, additionalProperties: { type: 'null' } },
    valid: [{}, { ab: null }],
    invalid: [{ abcd: null }, { A: null }],
  },
  'a record of an enum': {
    schema: {
      type: 'object',
      propertyNames: { type: 'string', enum: ['x', 'y'] },
      additionalProperties: { type: 'integer' },
      required: ['x'],
    },
    valid: [{ x: 1 }, { x: 1, y: 2 }],
    invalid: [{ y: 2 }, { x: 1, z: 3 }],
  },
  'names by pattern': {
    schema: { type: 'object', patternProperties: { '^x-': { type: 'integer' } }, additionalProperties: false },
    valid: [{}, { 'x-a': 1 }],
    invalid: [{ y: 1 }, { 'x-a': 'b' }],
  },
  'any object': { schema: { type: 'object' }, valid: [{}, { a: [1, { b: null }] }], invalid: [[], 1] },
  'any value': { schema: {}, valid: [1, 'a', null, true, [], {}, [[{ a: 1.5 }]]] },
  'a string': { schema: { type: 'string' }, valid: ['', 'é€😀', '"\\\b\f\n\r\t/'], invalid: [1] },
  'a string of lengths': {
    schema: { type: 'string', minLength: 2, maxLength: 4 },
    valid: ['ab', '😀😀😀😀', '\n"\\é'],
    invalid: ['', 'a', 'abcde'],
  },
  'a pattern anywhere': { schema: { type: 'string', pattern: 'b+' }, valid: ['b', 'abbc', '"b"'], invalid: ['', 'a"'] },
  'a pattern of everything': {
    schema: { type: 'string', pattern: '^[^a-y]{0,3}"?\\\\?[€-😀]{2}\\s$' },
    valid: ['€€\n', 'z"\\😀€\t'],
    invalid: ['€€', 'a€€\n'],
  },
  'alternatives in a pattern': {
    schema: { type: 'string', pattern: '^(?:red|green)$|^#[0-9a-f]{6}$|x' },
    valid: ['red', '#00ff00', 'axb'],
    invalid: ['redd', '#00', ''],
  },
  'a pattern of one set, with lengths': {
    schema: { type: 'string', pattern: '^[a-z0-9_]{3,200}$', maxLength: 5 },
    valid: ['abc', 'a_0_1'],
    invalid: ['ab', 'abcdef', 'ABC'],
  },
  integers: { schema: { type: 'integer' }, valid: [0, -1, 10, 999999999999999], invalid: [1.5, '1', 10 ** 15] },
  numbers: { schema: { type: 'number' }, valid: [0, -1, 1.5, 1e21, -0.001, 2.5e-7], invalid: ['1'] },
  'integers within bounds': {
    schema: { type: 'integer', minimum: -12, exclusiveMaximum: 105 },
    valid: [-12, -9, -1, 0, 1, 9, 10, 99, 100, 104],
    invalid: [-13, 105, 110, 1000, -20, -100],
  },
  'integers from a bound on': {
    schema: { type: 'integer', exclusiveMinimum: 17.5 },
    valid: [18, 19, 20, 100],
    invalid: [17, 0, -18, 9],
  },
  'integers up to a bound': {
    schema: { type: 'integer', maximum: -7 },
    valid: [-7, -8, -10, -700],
    invalid: [-6, 0, 7],
  },
  'numbers from 0 to 1': {
    schema: { type: 'number', minimum: 0, maximum: 1 },
    valid: [0, 0.5, 0.001, 1, 0.99],
    invalid: [1.5, -0.1, 2, 1.001],
  },
  'numbers between decimals': {
    schema: { type: 'number', exclusiveMinimum: -2.75, exclusiveMaximum: 12.5 },
    valid: [-2.74, -2, -0.5, 0, 3.25, 12, 12.49, 12.4],
    invalid: [-2.75, -2.76, -3, 12.5, 12.6, 13, 100],
  },
  'numbers within one': {
    schema: { type: 'number', minimum: 0.125, maximum: 0.5 },
    valid: [0.125, 0.13, 0.2, 0.5, 0.49, 0.1251],
    invalid: [0.124, 0.1, 0, 0.51, 0.6, 1],
  },
  'numbers above a bound': {
    schema: { type: 'number', exclusiveMinimum: 99.5 },
    valid: [99.51, 100, 1000.5],
    invalid: [99.5, 99.4, 99, -100],
  },
  'negative numbers': {
    schema: { type: 'number', maximum: -0.5 },
    valid: [-0.5, -0.51, -1, -100.25],
    invalid: [-0.4, 0, 1],
  },
  'numbers from zero': { schema: { type: 'number', minimum: 0 }, valid: [0, 0.5, 12345], invalid: [-1, -0.5] },
  int32: { schema: { type: 'integer', format: 'int32' }, valid: [2147483647, -2147483648], invalid: [2147483648] },
  'an enum': {
    schema: { enum: ['a', 'a"b', 'é', 1, -2.5, null, true, { x: [1] }, ''] },
    valid: ['a', 'a"b', 'é', 1, -2.5, null, true, { x: [1] }, ''],
    invalid: ['b', false, 2],
  },
  'an enum of one type': {
    schema: { type: 'string', enum: ['a', 1, 'bcd'], maxLength: 2 },
    valid: ['a'],
    invalid: [1, 'bcd'],
  },
  'several types': {
    schema: { type: ['string', 'null', 'integer', 'number'], maxLength: 2 },
    valid: ['ab', null, 1, 1.5],
    invalid: ['abc', true],
  },
  arrays: {
    schema: { type: 'array', items: { type: 'integer' }, minItems: 1, maxItems: 3 },
    valid: [[1], [1, 2], [1, 2, 3]],
    invalid: [[], [1, 2, 3, 4], ['a']],
  },
  'many items': {
    schema: { type: 'array', items: { const: 1 }, maxItems: 300 },
    valid: [[], Array(300).fill(1)],
    invalid: [Array(301).fill(1)],
  },
  'arrays within arrays': {
    schema: { type: 'array', items: { type: 'array', items: { type: 'array', items: { type: 'boolean' } } } },
    valid: [[], [[]], [[[true], []], [[false, true]]]],
    invalid: [[true], [[1]]],
  },
  'a tuple': {
    schema: { type: 'array', prefixItems: [{ type: 'integer' }, { type: 'string' }], items: false },
    valid: [[1, 'a']],
    invalid: [
      ['a', 1],
      [1, 'a', 2],
    ],
  },
  'a tuple with more': {
    schema: { type: 'array', prefixItems: [{ type: 'integer' }], items: { type: 'string' }, minItems: 2 },
    valid: [
      [1, 'a'],
      [1, 'a', 'b'],
    ],
    invalid: [[1], [1, 2]],
  },
  'an old tuple': {
    isOld: true,
    schema: { items: [{ type: 'null' }, {}], minItems: 3 },
    valid: [[null, 1, 'a']],
    invalid: [
      [1, 1, 1],
      [null, 1],
    ],
  },
  'no items': { schema: { type: 'array', items: {}, maxItems: 0 }, valid: [[]], invalid: [[1]] },
  recursion: {
    schema: TREE,
    valid: [{ value: 1 }, { value: 1, children: [{ value: 2, children: [] }] }],
    invalid: [{ value: 1, children: [1] }],
  },
  'recursion to the root': {
    schema: { type: 'object', properties: { next: { anyOf: [{ $ref: '#' }, { type: 'null' }] } }, required: ['next'] },
    valid: [{ next: null }, { next: { next: null } }],
    invalid: [{}, { next: 1 }],
  },
  'a reference with names to escape': {
    schema: { $ref: '#/definitions/a~1b%20~0c', definitions: { 'a/b ~c': { const: 'found' } } },
    valid: ['found'],
    invalid: ['x'],
  },
  'a reference and more': {
    schema: { $defs: { s: { type: 'string' } }, $ref: '#/$defs/s', maxLength: 2 },
    valid: ['ab'],
    invalid: ['abc', 1],
  },
  anyOf: {
    schema: {
      type: 'object',
      properties: { k: { type: 'string' } },
      anyOf: [{ required: ['k'] }, { properties: { n: { type: 'integer' } }, required: ['n'] }],
    },
    valid: [{ k: 'a' }, { k: 'a', n: 1 }, { n: 1 }],
    invalid: [{}, { n: 'a' }],
  },
  'anyOf strings of limits beside constants': {
    schema: {
      anyOf: [
        { const: 'a' },
        { type: 'string', minLength: 3, pattern: '^[x-z]*$' },
        { type: 'string', maxLength: 2, pattern: '^[p-r]*$' },
      ],
    },
    valid: ['a', 'xyz', 'xyzxyz', 'pq'],
    invalid: ['b', 'xy', 'pqr'],
  },
  'oneOf by a constant': {
    schema: {
      oneOf: [
        { type: 'object', properties: { kind: { const: 'circle' }, r: { type: 'number' } }, required: ['kind', 'r'] },
        {
          type: 'object',
          properties: { kind: { const: 'square' }, side: { type: 'number' } },
          required: ['kind', 'side'],
        },
      ],
      discriminator: { propertyName: 'kind' },
    },
    valid: [
      { kind: 'circle', r: 1 },
      { kind: 'square', side: 2 },
    ],
    invalid: [{ kind: 'circle', side: 1 }, { kind: 'other' }],
  },
  'oneOf types': {
    schema: { oneOf: [{ type: 'string' }, { type: 'integer' }, { type: 'null' }] },
    valid: ['a', 1, null],
    invalid: [true, 1.5],
  },
  'oneOf constants': {
    schema: { oneOf: [{ const: 'a', title: 'A' }, { const: 'b' }] },
    valid: ['a', 'b'],
    invalid: ['c'],
  },
  'oneOf by what one forbids': {
    schema: {
      oneOf: [
        { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'], additionalProperties: false },
        { type: 'object', properties: { b: { type: 'integer' } }, required: ['b'], additionalProperties: false },
      ],
    },
    valid: [{ a: 1 }, { b: 1 }],
    invalid: [{}, { a: 1, b: 1 }],
  },
  allOf: {
    schema: {
      allOf: [
        { type: 'object', properties: { a: { type: 'integer', minimum: 3 } }, required: ['a'] },
        { properties: { a: { maximum: 5 }, b: { type: 'string' } }, required: ['b'] },
      ],
    },
    valid: [
      { a: 3, b: '' },
      { a: 5, b: 'x' },
    ],
    invalid: [{ a: 2, b: '' }, { a: 6, b: '' }, { a: 3 }],
  },
  'allOf that closes': {
    schema: {
      allOf: [
        { type: 'object', properties: { a: { type: 'integer' } }, additionalProperties: false },
        { properties: { a: {}, b: {} } },
      ],
    },
    valid: [{}, { a: 1 }],
    invalid: [{ b: 1 }],
  },
  'a property that may not be': {
    schema: { type: 'object', properties: { a: false, b: { type: 'null' } } },
    valid: [{}, { b: null }],
    invalid: [{ a: 1 }],
  },
  'a required property that is not described': {
    schema: { type: 'object', properties: { a: { type: 'null' } }, required: ['b'] },
    valid: [{ a: null, b: [1] }, { b: 'x' }],
    invalid: [{ a: null }],
  },
  'keywords without a type': {
    schema: {
      properties: { a: { minLength: 1 }, b: { minimum: 5 }, c: { items: { type: 'null' } } },
      required: ['a', 'b', 'c'],
    },
    valid: [{ a: 'x', b: 5, c: [null] }],
    invalid: [
      { a: '', b: 5, c: [] },
      { a: 'x', b: 4, c: [] },
    ],
  },
  'unlikely names': {
    schema: {
      type: 'object',
      properties: { 'a"b\\c': { const: 1 }, 'é\n': { const: 2 }, '': { const: 3 } },
      required: ['a"b\\c', 'é\n', ''],
    },
    valid: [{ 'a"b\\c': 1, 'é\n': 2, '': 3 }],
  },
  date: {
    schema: { type: 'string', format: 'date' },
    valid: ['2026-02-28', '1999-12-31'],
    invalid: ['2026-02-30', '2026-13-01', ''],
  },
  time: {
    schema: { type: 'string', format: 'time' },
    valid: ['23:59:59Z', '00:00:00.5+01:00'],
    invalid: ['24:00:00Z', '12:00'],
  },
  'date-time': {
    schema: { type: 'string', format: 'date-time' },
    valid: ['2026-11-23T09:00:00Z'],
    invalid: ['2026-11-23'],
  },
  duration: {
    schema: { type: 'string', format: 'duration' },
    valid: ['P1D', 'PT1H30M', 'P2W', 'P1Y2M3DT4H'],
    invalid: ['P', '1D', 'PT'],
  },
  uuid: {
    schema: { type: 'string', format: 'uuid' },
    valid: ['123e4567-e89b-42d3-a456-426614174000'],
    invalid: ['123'],
  },
  email: {
    schema: { type: 'string', format: 'email' },
    valid: ['ada.lovelace@example.com'],
    invalid: ['a@b', '@example.com'],
  },
  hostname: { schema: { type: 'string', format: 'hostname' }, valid: ['a-b.example.com'], invalid: ['-a', 'a..b'] },
  ipv4: {
    schema: { type: 'string', format: 'ipv4' },
    valid: ['127.0.0.1', '255.249.10.0'],
    invalid: ['256.1.1.1', '1.2.3'],
  },
  ipv6: { schema: { type: 'string', format: 'ipv6' }, valid: ['2001:db8:0:0:0:0:0:1'], invalid: ['::g'] },
  uri: {
    schema: { type: 'string', format: 'uri' },
    valid: ['https://example.com/a/b?c=d#e'],
    invalid: ['example', 'https://'],
  },
};

describe.each(Object.entries(CASES))('%s', (_, { schema, isOld, valid = [], invalid = [] }) => {
  const ajv = isOld ? old : current;
  const validate = ajv.compile(schema);

  it('takes what is valid, and nothing else', async () => {
    for (const value of valid) {
      expect(validate(value), JSON.stringify(value)).toBe(true);
      expect(await fits(formatOf(schema), JSON.stringify(value)), JSON.stringify(value)).toBe(true);
    }
    for (const value of invalid) {
      expect(await fits(formatOf(schema), JSON.stringify(value)), JSON.stringify(value)).toBe(false);
    }
  });

  it('has only valid texts', async () => {
    let whole = 0;
    for (let seed = 0; seed < 40; seed++) {
      const text = await draw(formatOf(schema), createRandom(seed));
      if (text === undefined) continue;
      whole++;
      const value: unknown = JSON.parse(text);
      expect(validate(value), `${text}: ${ajv.errorsText(validate.errors)}`).toBe(true);
    }
    expect(whole).toBeGreaterThan(20);
  });
});

it('a schema of many properties, values and levels', async () => {
  const properties = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`property ${i}`, { type: 'integer' }]));
  const wide = formatOf({ type: 'object', properties, required: Object.keys(properties).slice(0, 290) });
  const value = Object.fromEntries(Object.keys(properties).map((name) => [name, 1]));
  expect(await fits(wide, JSON.stringify(value))).toBe(true);
  const many = Array.from({ length: 2000 }, (_, i) => `value ${i * 7919}`);
  expect(await fits(formatOf({ enum: many }), JSON.stringify(many[1999]))).toBe(true);
  let deep: SchemaObject = { type: 'null' };
  for (let level = 0; level < 30; level++) deep = { type: 'array', items: deep, minItems: 1, maxItems: 1 };
  expect(await fits(formatOf(deep), `${'['.repeat(30)}null${']'.repeat(30)}`)).toBe(true);
});

const never = { type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] };
const nested = (depth: number): SchemaObject => (depth === 0 ? {} : { items: nested(depth - 1) });

it.each<[string, SchemaObject, string]>([
  ['not', { not: { type: 'string' } }, '"not" cannot be followed (at #)'],
  ['if', { properties: { a: { if: {} } } }, '"if" cannot be followed (at #/properties/a)'],
  ['dependentRequired', { dependentRequired: {} }, '"dependentRequired" cannot be followed'],
  ['contains', { type: 'array', contains: {} }, '"contains" cannot be followed'],
  ['uniqueItems', { type: 'array', uniqueItems: true }, 'uniqueItems cannot be followed'],
  ['multipleOf', { type: 'number', multipleOf: 0.01 }, 'multipleOf cannot be followed'],
  ['unevaluatedItems', { unevaluatedItems: false }, '"unevaluatedItems" cannot be followed'],
  ['nullable', { type: 'string', nullable: true }, '"nullable" cannot be followed'],
  ['a mistyped keyword', { properites: {} }, 'did you mean properties?'],
  ['an unknown type', { type: 'text' }, 'type should be one or several of'],
  ['an unknown format', { type: 'string', format: 'iri' }, 'the format "iri" cannot be followed; known are date'],
  ['two patterns', { allOf: [{ pattern: 'a' }, { pattern: 'b' }] }, 'several patterns'],
  [
    'a pattern and lengths that do not go together',
    { type: 'string', pattern: '^(ab)*$', maxLength: 5 },
    'say the lengths in the pattern',
  ],
  ['a pattern that looks ahead', { type: 'string', pattern: '^(?=a).*$' }, 'a look ahead or behind'],
  ['a reference elsewhere', { $ref: 'https://example.com/schema' }, '$ref should point into this schema'],
  ['a reference to nothing', { $ref: '#/$defs/x' }, 'which is not there'],
  ['a reference to itself', { $ref: '#' }, 'refers to itself with nothing in between'],
  [
    'an alternative to itself',
    { anyOf: [{ $ref: '#' }, { type: 'null' }] },
    'refers to itself with nothing in between',
  ],
  ['no value', never, 'no text can ever fit it'],
  ['contradictions', { type: 'integer', minimum: 5, maximum: 4 }, 'no text can ever fit it'],
  ['false', { properties: { a: false }, required: ['a'] }, 'no text can ever fit it'],
  ['no common type', { allOf: [{ type: 'string' }, { type: 'null' }] }, 'no text can ever fit it'],
  [
    'oneOf that is not exclusive',
    { oneOf: [{ type: 'integer' }, { type: 'number' }] },
    'could be both number 0 and number 1',
  ],
  [
    'oneOf of open objects',
    {
      oneOf: [
        { type: 'object', properties: { a: {} } },
        { type: 'object', properties: { b: {} } },
      ],
    },
    'could be both',
  ],
  [
    'minProperties of a dictionary',
    { type: 'object', additionalProperties: true, minProperties: 2 },
    'minProperties above',
  ],
  ['a wrong value of a keyword', { type: 'string', maxLength: -1 }, 'maxLength should be a whole number from 0'],
  ['a draft-4 bound', { type: 'number', minimum: 0, exclusiveMinimum: true }, 'exclusiveMinimum should be a number'],
  ['a schema that is none', { properties: { a: 5 } }, 'there should be a schema'],
  ['too many digits', { type: 'number', minimum: 0.1234567890123456 }, 'more digits than can be followed'],
  ['depth', nested(100), 'nested more than 64 deep'],
  ['size', { enum: Array.from({ length: 30_000 }, (_, i) => i) }, 'more than 20000 values'],
  ['long texts', { enum: ['x'.repeat(300_000)] }, 'it is too large'],
  [
    'many alternatives',
    { allOf: Array.from({ length: 12 }, () => ({ anyOf: [{ minLength: 1 }, { maxLength: 9 }] })) },
    'leave too many ways',
  ],
  [
    'many lengths',
    { anyOf: Array.from({ length: 70 }, (_, i) => ({ type: 'string', maxLength: i + 1 })) },
    'more than 64 different limits',
  ],
])('%s is refused with the reason', async (_, schema, reason) => {
  await expect(fits(formatOf(schema), '')).rejects.toMatchObject({
    code: 'invalid_field',
    message: expect.stringContaining(reason),
  });
});
