import { expect, it } from 'vitest';
import { openSyntheticLayout, syntheticNextToken } from './synthetic-layout.ts';

const spec = { kind: 'synthetic', vocabularySize: 101, contextLength: 16, slots: 2 } as const;

function best(row: Float32Array): number {
  return row.indexOf(Math.max(...row));
}

it('shows a wrong token, position, length, slot and copy', async () => {
  const layout = await openSyntheticLayout(spec);
  const expected = syntheticNextToken([5, 6, 7], 101);
  expect(best(await layout.prefill(0, [5, 6, 7], 0, 'last'))).toBe(expected);
  expect(best(await layout.prefill(0, [5, 7, 6], 0, 'last'))).not.toBe(expected);

  await layout.prefill(0, [5, 6], 0, 'none');
  layout.copySlot(0, 1, 2);
  await layout.prefill(0, [9, 9], 0, 'none');
  const rows = (await layout.decode([7, 7], [2, 2])).slice();
  expect(best(rows.subarray(101))).toBe(expected);
  expect(best(rows.subarray(0, 101))).not.toBe(expected);

  layout.copySlot(1, 0, 1);
  await expect(layout.decode([7], [2])).rejects.toThrow('gap');
  await expect(layout.decode([7], [16])).rejects.toThrow('context');
  await expect(layout.decode([101], [1])).rejects.toThrow('vocabulary');
});
