/**
 * Values by module, as PEFT's rank_pattern and alpha_pattern give them: the first pattern that fits a module's path, or its end,
 * wins. A pattern is a regular expression from an untrusted file, so only those whose work is bounded are taken.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';

const MAX_LENGTH = 512;
/** With the one in front that PEFT adds, a path of 60 letters costs at most 60^3 steps. */
const MAX_LOOPS = 2;

/** Gives what the patterns say of a module, or undefined. Source: peft, utils/other.py, get_pattern_key. */
export function modulePatterns(
  values: Readonly<Record<string, number>>,
  label: string,
): (module: string) => number | undefined {
  const patterns = Object.entries(values).map(([pattern, value]) => ({ matches: compile(pattern, label), value }));
  return (module) => patterns.find(({ matches }) => matches.test(module))?.value;
}

function compile(pattern: string, label: string): RegExp {
  const refuse = (why: string) =>
    new AppError('unsupported_source', `${label}: the pattern ${JSON.stringify(pattern.slice(0, 80))} ${why}`);
  if (pattern.length > MAX_LENGTH) throw refuse(`is ${pattern.length} letters long; the limit is ${MAX_LENGTH}`);
  const plain = pattern.replaceAll(/\\./g, '').replaceAll(/\[[^\]]*\]/g, '_');
  if (/\)[*+{]/.test(plain)) throw refuse('repeats a group: write it without');
  if ((plain.match(/[*+{]/g) ?? []).length > MAX_LOOPS) throw refuse(`has more than ${MAX_LOOPS} repetitions`);
  try {
    return new RegExp(`^(?:.*\\.)?(?:${pattern})$`);
  } catch (cause) {
    throw new AppError('invalid_source', `${label}: ${JSON.stringify(pattern)} is no regular expression`, { cause });
  }
}
