import { expect, it } from 'vitest';
import { countVisible } from './kernel-command.ts';

it.each([
  ['0', 1],
  ['0,1,3', 3],
  ['GPU-8932f937, GPU-1a2b3c4d', 2],
  ['', 0],
  ['-1', 0],
  ['2,-1,3', 1],
])('CUDA_VISIBLE_DEVICES=%s shows %d cards', (names, count) => {
  expect(countVisible(names)).toBe(count);
});
