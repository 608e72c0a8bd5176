/**
 * Help no wider than the terminal: a line that is too long goes on below the place where its text begins. Pure.
 */

/** Narrower than this a column is harder to read than a line that the terminal breaks. */
const NARROWEST = 20;
/** Of a paragraph that goes on in the next line. */
const BROKEN_LINE = /^(\S.{99,})\n(?=\S)/gm;
/** What comes behind a name or a command and a gap. */
const BEHIND_A_GAP = /^ +\S.*? {2,}(?=\S)/;

/** Commands stay whole, so that they can be copied; what is said beside them is broken as all else. */
export function wrapHelp(text: string, width: number): string {
  return text
    .replaceAll(BROKEN_LINE, '$1 ')
    .split('\n')
    .map((line) => (line.length <= width ? line : wrapLine(line, width)))
    .join('\n');
}

function wrapLine(line: string, width: number): string {
  const head = BEHIND_A_GAP.exec(line)?.[0] ?? '';
  if (head === '' && /^ +slipway /.test(line)) return line;
  const indent = ' '.repeat(head.length || line.search(/\S/));
  if (width - indent.length < NARROWEST) return line;
  const lines: string[] = [];
  let current = head || indent;
  for (const word of line.slice(current.length).split(' ')) {
    const isFirst = current.length === indent.length;
    if (!isFirst && current.length + 1 + word.length > width) {
      lines.push(current.trimEnd());
      current = indent + word;
    } else current += isFirst ? word : ` ${word}`;
  }
  return [...lines, current].join('\n');
}
