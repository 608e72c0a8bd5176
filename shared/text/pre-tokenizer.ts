/**
 * The `pre_tokenizer` of a tokenizer.json: a text cut into the words that BPE works on. Knows no vocabulary. What is not here is
 * refused by name, so that text is never cut differently in silence.
 */
import { z } from 'zod';
import { AppError } from '../contracts/errors.ts';
import { describeIssues } from '../lib/describe-issues.ts';
import { toJavaScriptRegex } from './regex-dialect.ts';

/** `first`: whether the piece begins the whole text. */
export type PreTokenizer = (piece: string, first: boolean) => string[];

/** openai/gpt-2, src/encoder.py. */
const GPT2_WORDS = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const BEHAVIORS = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const;
type Behavior = (typeof BEHAVIORS)[number];

const Pattern = z.union([z.object({ Regex: z.string() }), z.object({ String: z.string() })]);

const Step = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ByteLevel'), add_prefix_space: z.boolean(), use_regex: z.boolean().default(true) }),
  z.object({
    type: z.literal('Split'),
    pattern: Pattern,
    behavior: z.enum(BEHAVIORS),
    invert: z.boolean().default(false),
  }),
  z.object({ type: z.literal('WhitespaceSplit') }),
  z.object({ type: z.literal('Digits'), individual_digits: z.boolean().default(false) }),
  z.object({
    type: z.literal('Metaspace'),
    replacement: z.literal('▁').default('▁'),
    add_prefix_space: z.boolean().default(true),
    prepend_scheme: z.enum(['first', 'always', 'never']).optional(),
    split: z.boolean().default(true),
  }),
  z.object({
    type: z.literal('Sequence'),
    get pretokenizers() {
      return z.array(Step);
    },
  }),
]);
type Step = z.infer<typeof Step>;

/** AppError unsupported_source names what is not known. */
export function preTokenizer(json: unknown): PreTokenizer {
  if (json === null || json === undefined) return (piece) => [piece];
  const step = Step.safeParse(json);
  if (!step.success) {
    throw new AppError('unsupported_source', `tokenizer.json: pre_tokenizer: ${describeIssues(step.error)}`);
  }
  return build(step.data);
}

/** Whether the pieces of this pre-tokenizer are looked up byte by byte. */
export function isByteLevel(json: unknown): boolean {
  const step = Step.safeParse(json);
  if (!step.success) return false;
  return step.data.type === 'Sequence' ? step.data.pretokenizers.some(isByteLevel) : step.data.type === 'ByteLevel';
}

function build(step: Step): PreTokenizer {
  switch (step.type) {
    case 'Sequence': {
      const steps = step.pretokenizers.map(build);
      return (piece, first) =>
        steps.reduce<string[]>((pieces, next) => pieces.flatMap((part, i) => next(part, first && i === 0)), [piece]);
    }
    case 'ByteLevel': {
      const words = step.use_regex ? splitter(toJavaScriptRegex(GPT2_WORDS), 'Isolated', false) : (p: string) => [p];
      return (piece) => words(step.add_prefix_space && !piece.startsWith(' ') ? ` ${piece}` : piece);
    }
    case 'Split': {
      const regex =
        'Regex' in step.pattern
          ? toJavaScriptRegex(step.pattern.Regex)
          : new RegExp(RegExp.escape(step.pattern.String), 'gu');
      return splitter(regex, step.behavior, step.invert);
    }
    case 'WhitespaceSplit':
      return (piece) => piece.match(/\P{White_Space}+/gu) ?? [];
    case 'Digits':
      return splitter(step.individual_digits ? /\p{N}/gu : /\p{N}+/gu, 'Isolated', false);
    case 'Metaspace':
      return metaspace(step.prepend_scheme ?? (step.add_prefix_space ? 'always' : 'never'), step.split);
  }
}

function metaspace(scheme: 'first' | 'always' | 'never', split: boolean): PreTokenizer {
  return (piece, first) => {
    const escaped = piece.replaceAll(' ', '▁');
    const wanted = scheme === 'always' || (scheme === 'first' && first);
    const text = wanted && !escaped.startsWith('▁') ? `▁${escaped}` : escaped;
    return split ? (text.match(/▁[^▁]*|[^▁]+/g) ?? []) : [text];
  };
}

/** Cuts at the matches of `regex`; `behavior` as in Hugging Face tokenizers, `invert` takes what is between them as the matches. */
function splitter(regex: RegExp, behavior: Behavior, invert: boolean): (piece: string) => string[] {
  return (piece) => {
    if (behavior === 'Isolated') {
      // Matches without gaps, as is usual, are the words themselves: several times as fast as looking at each.
      const words = piece.match(regex);
      if (words && words.reduce((length, word) => length + word.length, 0) === piece.length) return words;
    }
    const cuts: { text: string; match: boolean }[] = [];
    let end = 0;
    for (const { 0: text, index } of piece.matchAll(regex)) {
      if (index > end) cuts.push({ text: piece.slice(end, index), match: invert });
      if (text !== '') cuts.push({ text, match: !invert });
      end = index + text.length;
    }
    if (end < piece.length) cuts.push({ text: piece.slice(end), match: invert });
    return arrange(cuts, behavior);
  };
}

function arrange(cuts: readonly { text: string; match: boolean }[], behavior: Behavior): string[] {
  if (behavior === 'Isolated') return cuts.map((cut) => cut.text);
  if (behavior === 'Removed') return cuts.filter((cut) => !cut.match).map((cut) => cut.text);
  const joined: string[] = [];
  let previous: boolean | undefined;
  for (const { text, match } of behavior === 'MergedWithNext' ? cuts.toReversed() : cuts) {
    const join = behavior === 'Contiguous' ? match === previous : match && previous === false;
    const last = join ? (joined.pop() ?? '') : '';
    joined.push(behavior === 'MergedWithNext' ? text + last : last + text);
    previous = match;
  }
  return behavior === 'MergedWithNext' ? joined.reverse() : joined;
}
