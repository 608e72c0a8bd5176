/**
 * What a file's report means for a preparation: refuses a file without examples, with a suggestion, and one whose records are of several
 * formats. Pure.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Fields } from '../formats/format.ts';
import { describeColumns, suggestColumns } from '../formats/suggest-columns.ts';
import type { FileReport } from './collect-examples.ts';

/** AppError invalid_source: nothing in it can be learnt from. */
export function requireExamples(report: FileReport): void {
  if (report.examples + report.duplicates > 0) return;
  const { file, unknownFields, firstRejected: first } = report;
  const reason = first ? `line ${first.line}: ${first.reason}` : 'it is empty';
  const what = `${file}: no example in it can be used: ${reason}`;
  throw new AppError('invalid_source', unknownFields ? `${what}; ${whatToDo(unknownFields)}` : what);
}

function whatToDo(unknown: Fields): string {
  const suggestion = suggestColumns(unknown);
  if (suggestion) return `map its fields, perhaps so: data.${describeColumns(suggestion)}`;
  return 'make a record of it that is known, such as {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}, {"question", "answer"} or {"text"}, one on a line';
}

/** AppError invalid_source: the file mixes formats; says which lines are of which. */
export function requireOneFormat({ file, formats }: FileReport, mixed: 'refuse' | 'accept'): void {
  if (formats.size < 2 || (mixed === 'accept' && !formats.has('text'))) return;
  const found = [...formats]
    .toSorted(([, a], [, b]) => b.count - a.count)
    .map(
      ([name, { count, firstLines }]) =>
        `${name} in ${count} (line ${firstLines.join(', ')}${count > firstLines.length ? ' ...' : ''})`,
    );
  throw new AppError(
    'invalid_source',
    `${file} mixes formats: ${found.join('; ')}: split it, name the one to take with data.format${formats.has('text') ? '' : ', or take each as what it is with data.mixed: accept'}`,
  );
}
