import { expect, it } from 'vitest';
import { z } from 'zod';
import { describeIssues } from './describe-issues.ts';

const schema = z.object({ a: z.number(), list: z.array(z.object({ b: z.string() })) });

const described = (value: unknown) => {
  const { error } = schema.safeParse(value);
  return error && describeIssues(error);
};

it('says where and what, in one line', () => {
  expect(described({ a: 'x', list: [{ b: 'y' }, { b: 1 }] })).toBe(
    'a: Invalid input: expected number, received string; list[1].b: Invalid input: expected string, received number',
  );
  expect(described(null)).toBe('Invalid input: expected object, received null');
});

it('counts what it leaves out', () => {
  expect(described({ a: 1, list: Array(9).fill({}) })).toMatch(/; list\[2\]\.b: .*; and 6 more$/);
});
