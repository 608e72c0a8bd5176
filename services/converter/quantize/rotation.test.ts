import { describe, expect, it } from 'vitest';
import { gaussian, identity, largestDifference, multiply, transposed } from '../testing/numbers.ts';
import { hadamard, hadamardBlock, Rotation } from './rotation.ts';

/** The matrix itself: what the rotation makes of the identity. */
function matrixOf(rotation: Rotation): Float32Array {
  const matrix = identity(rotation.size);
  rotation.applyToRows(matrix);
  return matrix;
}

describe.each([576, 64, 96, 224, 1, 3])('a rotation of %i', (size) => {
  const rotation = new Rotation(size);
  const matrix = matrixOf(rotation);

  it('is orthogonal', () => {
    expect(largestDifference(multiply(matrix, transposed(matrix, size), size), identity(size))).toBeLessThan(2e-6);
  });

  it('turns rows by R and columns by its transpose', () => {
    const data = gaussian(5 * size);
    const rows = data.slice();
    rotation.applyToRows(rows);
    expect(largestDifference(rows, multiply(data, matrix, size))).toBeLessThan(1e-5);
    const columns = data.slice();
    rotation.applyToColumns(columns);
    expect(largestDifference(columns, multiply(transposed(matrix, size), data, size))).toBeLessThan(1e-5);
  });

  it('takes a layer’s output into the rotated stream and the next one’s input out of it', () => {
    const [writer, reader] = [gaussian(size * 4, 2), gaussian(3 * size, 3)];
    const plain = multiply(reader, writer, size);
    rotation.applyToColumns(writer);
    rotation.applyToRows(reader);
    expect(largestDifference(multiply(reader, writer, size), plain)).toBeLessThan(2e-4);
  });
});

describe('a rotation', () => {
  it('is the same every time, and another with another seed', () => {
    expect(matrixOf(new Rotation(96))).toEqual(matrixOf(new Rotation(96)));
    expect(matrixOf(new Rotation(96, 2))).not.toEqual(matrixOf(new Rotation(96)));
  });

  it('spreads one outlier over all channels', () => {
    for (const size of [576, 96]) {
      const row = new Float32Array(size);
      row[size - 1] = 1;
      new Rotation(size).applyToRows(row);
      expect(row.every((value) => value !== 0)).toBe(true);
      // A block's share of it stays with the block: the reflection gives the others 2 / blocks.
      expect(Math.max(...row.map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(hadamardBlock(size)) + 1e-6);
    }
  });
});

describe('hadamard', () => {
  it('is its own inverse along the middle axis, and leaves the others apart', () => {
    const data = gaussian(3 * 24 * 5);
    const turned = data.slice();
    hadamard(turned, 3, 24, 5, 8);
    expect(largestDifference(turned, data)).toBeGreaterThan(0.5);
    const alone = data.slice(24 * 5, 2 * 24 * 5);
    hadamard(alone, 1, 24, 5, 8);
    expect(turned.slice(24 * 5, 2 * 24 * 5)).toEqual(alone);
    hadamard(turned, 3, 24, 5, 8);
    expect(largestDifference(turned, data)).toBeLessThan(1e-6);
  });

  it('takes the largest power of two that divides a size', () => {
    expect([576, 64, 96, 224, 1, 7, 1536].map(hadamardBlock)).toEqual([64, 64, 32, 32, 1, 1, 512]);
  });
});
