/**
 * What `--columns` says: our fields and what the data calls them. Knows no command.
 */
import { InvalidArgumentError } from 'commander';

/** `prompt=Question,completion=Reply`. Commander's InvalidArgumentError for anything else. */
export function columnPairs(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split(',').map((pair) => {
      const [ours = '', theirs = ''] = pair.split('=').map((part) => part.trim());
      if (ours === '' || theirs === '') throw new InvalidArgumentError('Write it as prompt=Question,completion=Reply.');
      return [ours, theirs];
    }),
  );
}
