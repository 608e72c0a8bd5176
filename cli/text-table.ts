/**
 * Rows as aligned columns of plain text. Knows nothing of what is in them.
 */

const GAP = '  ';

/** A heading that begins with `>` has its column aligned to the right. Columns nobody has anything for are left out. */
export function textTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const columns = headings
    .map((heading, index) => {
      const isRight = heading.startsWith('>');
      const cells = [isRight ? heading.slice(1) : heading, ...rows.map((row) => row[index] ?? '')];
      return { isRight, cells, isUsed: cells.slice(1).some((cell) => cell !== '') };
    })
    .filter(({ isUsed }) => isUsed);
  const lines = Array.from({ length: rows.length + 1 }, (_, line) =>
    columns
      .map(({ isRight, cells }) => {
        const width = Math.max(...cells.map((cell) => cell.length));
        const cell = cells[line] ?? '';
        return isRight ? cell.padStart(width) : cell.padEnd(width);
      })
      .join(GAP)
      .trimEnd(),
  );
  return (headings.some((heading) => heading !== '' && heading !== '>') ? lines : lines.slice(1)).join('\n');
}

/** Lines that are longer than the terminal is wide end in `…`, so that a row stays one; whole where there is no terminal. */
export function fitTerminal(table: string, { isTTY, columns }: Pick<NodeJS.WriteStream, 'isTTY' | 'columns'>): string {
  if (!isTTY) return table;
  return table.replaceAll(/^.+$/gm, (line) => (line.length > columns ? `${line.slice(0, columns - 1)}…` : line));
}
