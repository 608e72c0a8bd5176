/**
 * The `normalizer` of a tokenizer.json: what is done to a text before it is cut. Knows no vocabulary. What is not here is refused
 * by name.
 */
import { z } from 'zod';
import { AppError } from '../contracts/errors.ts';
import { describeIssues } from '../lib/describe-issues.ts';
import { precompiledNormalizer } from './precompiled-normalizer.ts';
import { toJavaScriptRegex } from './regex-dialect.ts';

export type Normalizer = (text: string) => string;

const Step = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['NFC', 'NFD', 'NFKC', 'NFKD']) }),
  z.object({ type: z.literal('Lowercase') }),
  z.object({ type: z.literal('Strip'), strip_left: z.boolean(), strip_right: z.boolean() }),
  z.object({ type: z.literal('Precompiled'), precompiled_charsmap: z.string() }),
  z.object({ type: z.literal('Prepend'), prepend: z.string() }),
  z.object({
    type: z.literal('Replace'),
    pattern: z.union([z.object({ Regex: z.string() }), z.object({ String: z.string() })]),
    content: z.string(),
  }),
  z.object({
    type: z.literal('Sequence'),
    get normalizers() {
      return z.array(Step);
    },
  }),
]);
type Step = z.infer<typeof Step>;

/** AppError unsupported_source names what is not known. */
export function normalizer(json: unknown): Normalizer {
  if (json === null || json === undefined) return (text) => text;
  const step = Step.safeParse(json);
  if (!step.success) {
    throw new AppError('unsupported_source', `tokenizer.json: normalizer: ${describeIssues(step.error)}`);
  }
  return build(step.data);
}

function build(step: Step): Normalizer {
  switch (step.type) {
    case 'Sequence': {
      const steps = step.normalizers.map(build);
      return (text) => steps.reduce((result, next) => next(result), text);
    }
    case 'Prepend':
      return (text) => (text === '' ? text : step.prepend + text);
    case 'Lowercase':
      return (text) => text.toLowerCase();
    case 'Strip':
      return (text) => {
        const left = step.strip_left ? text.replace(/^\p{White_Space}+/u, '') : text;
        return step.strip_right ? trimEnd(left) : left;
      };
    case 'Precompiled':
      return precompiledNormalizer(step.precompiled_charsmap);
    case 'Replace': {
      const { pattern, content } = step;
      // A function, so that a dollar sign in the content is a dollar sign.
      if ('String' in pattern) return (text) => text.replaceAll(pattern.String, () => content);
      const regex = toJavaScriptRegex(pattern.Regex);
      return (text) => text.replace(regex, () => content);
    }
    default:
      return (text) => text.normalize(step.type);
  }
}

/** Not by a regular expression, which would begin anew at every space of a long run in the middle. */
function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}
