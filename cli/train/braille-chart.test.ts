import { describe, expect, it } from 'vitest';
import { brailleChart } from './braille-chart.ts';

const plain = (text: string) => text;

describe('a chart', () => {
  it('draws curves as lines, with what is highest and lowest at its sides', () => {
    const training = [0, 10, 20, 40, 80].map((step) => ({ step, loss: 4 - Math.sqrt(step) / 3 }));
    const held = [20, 80].map((step) => ({ step, loss: 4 - Math.sqrt(step) / 4 }));
    const lines = brailleChart(
      [
        { points: training, paint: plain },
        { points: held, paint: (text) => `<${text}>` },
      ],
      30,
      8,
      100,
    );
    expect(lines).toMatchInlineSnapshot(`
      [
        " 4.00 ┤⠱⡀                     ",
        "      │ ⠘⡄                    ",
        "      │  ⠈⠢<⢔><⠢><⠤><⢄><⣀>              ",
        "      │     ⠉⠒⠤⣀<⠉><⠑><⠒><⠢><⠤><⣀><⡀>       ",
        " 1.61 ┤         ⠉⠒⠤⢄⡀ <⠈><⠉><⠑><⠂>    ",
        " 1.02 ┤             ⠈⠉⠒⠢⢄⡀    ",
        "      └───────────────────────",
        "       0                   100",
      ]
    `);
    for (const line of lines) expect(line.replaceAll(/[<>]/g, '').length).toBeLessThanOrEqual(30);
  });

  it('is drawn of one point, of equal ones, and of none', () => {
    const chart = (losses: readonly number[]) =>
      brailleChart([{ points: losses.map((loss, step) => ({ step, loss })), paint: plain }], 20, 6, 4);
    expect(chart([])).toEqual([]);
    expect(chart([Number.NaN])).toEqual([]);
    for (const losses of [[2], [2, 2, 2], [0, 0]]) expect(chart(losses).join('')).toMatch(/[\u2801-\u28ff]/);
  });
});
