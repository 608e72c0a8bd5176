import { expect, it } from 'vitest';
import { countProcesses, countVisible } from './kernel-command.ts';

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

it('starts as many processes as are asked for, but no flood of them', async () => {
  expect(await countProcesses(2, 'cpu')).toBe(2);
  expect(await countProcesses('auto', 'cpu')).toBe(1);
  await expect(countProcesses(100_000, 'cpu')).rejects.toMatchObject({ code: 'invalid_field' });
});
