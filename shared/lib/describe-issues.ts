/** What a schema found wrong, in one line: errors of the command line are lines. Knows no schema. */
import type { z } from 'zod';

const SHOWN = 3;

/** `rope.theta: Invalid input: expected number; layers[2]: ...`; at most three, and how many more. */
export function describeIssues({ issues }: z.ZodError): string {
  const shown = issues.slice(0, SHOWN).map(({ path, message }) => {
    const place = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
    return place === '' ? message : `${place.replace(/^\./, '')}: ${message}`;
  });
  const more = issues.length - shown.length;
  return (more > 0 ? [...shown, `and ${more} more`] : shown).join('; ').replaceAll(/\s+/g, ' ');
}
