import { expect, it } from 'vitest';
import { openSyntheticLayout, syntheticContinuation } from './synthetic-layout.ts';

const spec = { kind: 'synthetic', vocabularySize: 101, contextLength: 16, slots: 2 } as const;

function best(row: Float32Array): number {
  return row.indexOf(Math.max(...row));
}

it('shows a wrong token, position, length, slot and copy', async () => {
  const layout = await openSyntheticLayout(spec);
  const [expected] = syntheticContinuation([5, 6, 7], { ...spec, maxNewTokens: 1 });
  expect(best(await layout.prefill(0, [5, 6, 7], 0, 'last'))).toBe(expected);
  expect(best(await layout.prefill(0, [5, 7, 6], 0, 'last'))).not.toBe(expected);

  await layout.prefill(0, [5, 6, 7], 0, 'none');
  layout.copySlot(0, 1, 3);
  await layout.prefill(0, [9, 9, 9], 0, 'none');
  const [first = 0, second] = syntheticContinuation([5, 6, 7], { ...spec, maxNewTokens: 2 });
  const rows = (await layout.decode([first, first], [3, 3])).slice();
  expect(best(rows.subarray(101))).toBe(second);
  expect(best(rows.subarray(0, 101))).not.toBe(second);

  // The same tokens, but the last row computed alone.
  await layout.prefill(0, [5, 6], 0, 'none');
  expect(best(await layout.prefill(0, [7], 2, 'last'))).not.toBe(expected);

  layout.copySlot(1, 0, 1);
  await expect(layout.decode([7], [2])).rejects.toThrow('gap');
  await expect(layout.decode([7], [16])).rejects.toThrow('context');
  await expect(layout.decode([101], [1])).rejects.toThrow('vocabulary');
});

it('verifies what decoding gives, position by position', async () => {
  const periodic = { ...spec, period: 3 };
  const [together, apart] = [await openSyntheticLayout(periodic), await openSyntheticLayout(periodic)];
  for (const layout of [together, apart]) await layout.prefill(0, [5, 6, 7, 5], 0, 'none');
  const tokens = [6, 7, 99, 5, 6];
  const checked = await together.verify?.(tokens, 4);
  const decoded: number[] = [];
  for (const [i, token] of tokens.entries()) decoded.push(...(await apart.decode([token], [4 + i])));
  expect(Array.from(checked ?? [])).toEqual(decoded);
  // Guesses that were wrong are overwritten.
  expect(await together.decode([8], [6])).toEqual(await apart.decode([8], [6]));
});
