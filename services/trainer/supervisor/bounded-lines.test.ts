import { expect, it } from 'vitest';
import { BoundedLines } from './bounded-lines.ts';

it('cuts lines wherever the pieces end, and keeps no more of a line than allowed', () => {
  const text = 'one\n\ntwölf\n123456789\nx\n12345678\nrest';
  const bytes = Buffer.from(text);
  for (let size = 1; size <= bytes.length; size++) {
    const lines = new BoundedLines(8);
    const found = [];
    for (let start = 0; start < bytes.length; start += size)
      found.push(...lines.push(bytes.subarray(start, start + size)));
    expect(found).toEqual([
      { text: 'one', whole: true },
      { text: '', whole: true },
      { text: 'twölf', whole: true },
      { text: '12345678', whole: false },
      { text: 'x', whole: true },
      { text: '12345678', whole: true },
    ]);
    expect(lines.rest()).toBe('rest');
  }
});
