/**
 * How each known family cuts text before byte-level BPE, by the name a GGUF file gives (`tokenizer.ggml.pre`), as the models' own
 * tokenizer.json say it. Names: llama.cpp's llama-vocab.cpp.
 */
import { normalizer } from '@slipway/shared/text/normalizer.ts';
import { preTokenizer } from '@slipway/shared/text/pre-tokenizer.ts';
import type { ByteLevelStyle } from './tokenizer-files.ts';

const BYTES = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
const GPT2_WORDS = { ...BYTES, use_regex: true };

function split(regex: string) {
  return { type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false };
}

function sequence(...pretokenizers: readonly unknown[]) {
  return { type: 'Sequence', pretokenizers };
}

function plain(preTokenizer: ByteLevelStyle['preTokenizer']): ByteLevelStyle {
  return { normalizer: null, preTokenizer, ignoreMerges: false };
}

const GPT2 = plain(GPT2_WORDS);

const SMOLLM = plain(sequence({ type: 'Digits', individual_digits: true }, GPT2_WORDS));

const LLAMA3: ByteLevelStyle = {
  normalizer: null,
  preTokenizer: sequence(
    split(
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    ),
    BYTES,
  ),
  ignoreMerges: true,
};

const QWEN2: ByteLevelStyle = {
  normalizer: { type: 'NFC' },
  preTokenizer: sequence(
    split(
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    ),
    BYTES,
  ),
  ignoreMerges: false,
};

/** What llama.cpp does when a file names no style. */
const UNNAMED = plain(
  sequence(
    split('[\\p{P}\\$\\+<=>\\^~\\|]+'),
    split("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"),
    split('\\p{N}+'),
    split('[0-9][0-9][0-9]'),
    BYTES,
  ),
);

export const BYTE_LEVEL_STYLES: ReadonlyMap<string, ByteLevelStyle> = new Map([
  ['default', UNNAMED],
  ...['gpt-2', 'phi-2', 'mpt', 'olmo'].map((name) => [name, GPT2] as const),
  ...['smollm', 'starcoder', 'refact', 'codeshell'].map((name) => [name, SMOLLM] as const),
  ...['llama-bpe', 'llama3', 'llama-v3'].map((name) => [name, LLAMA3] as const),
  ...['qwen2', 'stablelm2', 'deepseek-r1-qwen'].map((name) => [name, QWEN2] as const),
]);

/** These want BOS in front even when the file does not say so. */
export const BOS_BY_DEFAULT: ReadonlySet<string> = new Set(['llama-bpe', 'llama3', 'llama-v3']);

/** Text on which the known styles, and those near them, differ from each other: digits, apostrophes, spaces, line ends, composed letters. */
const PROBE = [
  "It's 12345 o'clock, I'M SURE THEY'LL  come -- 3.14159 (50%) \n\n\tdef f(x):\r\n    return x+=1;  # ok   \n",
  'Ünïcödé e\u0301 \u00e9 \u1e9b\u0323 日本語テキスト１２３ ١٢٣ Ⅷ½ 🚀🚀 don’t <<>>{}[]$^~`|=== http://a.b/c?d=e&f_g  x',
  ' leading',
  'trailing ',
  '    ',
  '\n \n',
  "''''s",
  '!!!\n\nA',
  '1 22 333 4444 55555',
  'a1b2',
  '\u200b\u00a0x\u3000y',
];

/**
 * The name of the style that cuts text as this `pre_tokenizer` and `normalizer` of a tokenizer.json do; undefined when none does.
 * Told by what they do, as llama.cpp's converter does it: the same cuts are written in many ways.
 */
export function nameStyle(pre: unknown, normal: unknown, ignoreMerges: boolean): string | undefined {
  const wanted = cuts(pre, normal);
  const same = [...BYTE_LEVEL_STYLES].filter(([, style]) => cuts(style.preTokenizer, style.normalizer) === wanted);
  return (same.find(([, style]) => style.ignoreMerges === ignoreMerges) ?? same[0])?.[0];
}

function cuts(pre: unknown, normal: unknown): string {
  const [cut, normalize] = [preTokenizer(pre), normalizer(normal)];
  return JSON.stringify(PROBE.map((text) => cut(normalize(text), true)));
}
