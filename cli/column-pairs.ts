/**
 * What `--columns` says: our fields and what the data calls them. Knows no command.
 */
import { InvalidArgumentError, Option } from 'commander';

export function columnsOption(): Option {
  return new Option('--columns <pairs>', 'our field=theirs, separated by commas; theirs may be a path: a.0.b')
    .argParser(columnPairs)
    .default({}, 'the names they have');
}

/** `prompt=Question,completion=Reply`. Commander's InvalidArgumentError for anything else. */
export function columnPairs(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split(',').map((pair) => {
      const [ours = '', theirs = ''] = pair.split('=').map((part) => part.trim());
      if (ours === '' || theirs === '') throw new InvalidArgumentError('Write it as name=value,name=value.');
      return [ours, theirs];
    }),
  );
}
