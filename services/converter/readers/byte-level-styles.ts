/**
 * How each known family cuts text before byte-level BPE, by the name a GGUF file gives (`tokenizer.ggml.pre`), as the models' own
 * tokenizer.json say it. Names: llama.cpp's llama-vocab.cpp.
 */
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
