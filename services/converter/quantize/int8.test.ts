import { describe, expect, it } from 'vitest';
import { gaussian } from '../testing/numbers.ts';
import { quantizeChannels } from './int8.ts';

describe('quantizeChannels', () => {
  it.each([
    [3, 5],
    [64, 64],
    [130, 70],
  ])('rounds each of %i rows of %i to its own scale, transposed', (rows, columns) => {
    // Rows of very different size: one scale for all would lose the small ones.
    const weights = gaussian(rows * columns).map((weight, index) => weight * 10 ** -(Math.floor(index / columns) % 7));
    const { quantized, scales } = quantizeChannels(weights, rows, columns);
    let worst = 0;
    for (let row = 0; row < rows; row++) {
      const scale = scales[row] ?? Number.NaN;
      let largest = 0;
      for (let column = 0; column < columns; column++) {
        const level = quantized[column * rows + row] ?? Number.NaN;
        largest = Math.max(largest, Math.abs(level));
        const error = Math.abs(level * scale - (weights[row * columns + column] ?? Number.NaN));
        worst = Math.max(worst, error / scale);
      }
      expect(largest).toBe(127);
    }
    expect(worst).toBeLessThan(0.5001);
  });

  it('keeps a row of zeros zero, beside one that is not', () => {
    const { quantized, scales } = quantizeChannels(Float32Array.of(0, 0, -0, -3, 1.6, 3), 2, 3);
    expect([...quantized]).toEqual([0, -127, 0, 68, 0, 127]);
    expect([...scales]).toEqual([0, Math.fround(3 / 127)]);
  });
});
