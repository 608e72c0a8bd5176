/**
 * SentencePiece's `precompiled_charsmap` (nmt_nfkc and its like): replacements in a double-array trie over UTF-8. Applied as Hugging
 * Face's tokenizers does it (the crate spm_precompiled, and normalizers/precompiled.rs), which looks at graphemes, so that ids are the
 * same as there. Layout of the trie: s-yata/darts-clone, include/darts.h.
 */
import { AppError } from '../contracts/errors.ts';

/** Longer graphemes are taken character by character. */
const MAX_GRAPHEME_BYTES = 5;
const KEPT = 10_000;

/** `charsmap`: base64. AppError invalid_source when it is cut short. */
export function precompiledNormalizer(charsmap: string): (text: string) => string {
  const bytes = Buffer.from(charsmap, 'base64');
  const size = bytes.length < 4 ? -1 : bytes.readUInt32LE(0);
  if (size < 4 || size % 4 !== 0 || size + 4 > bytes.length) {
    throw new AppError('invalid_source', 'tokenizer.json: normalizer.precompiled_charsmap is cut short');
  }
  const trie = Uint32Array.from({ length: size / 4 }, (_, unit) => bytes.readUInt32LE(4 + unit * 4));
  const replacements = bytes.subarray(4 + size);
  const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' });
  const known = new Map<string, string>();

  const normalize = (grapheme: string): string => {
    const whole =
      Buffer.byteLength(grapheme) <= MAX_GRAPHEME_BYTES ? replacement(trie, replacements, grapheme) : undefined;
    if (whole !== undefined) return whole;
    return Array.from(grapheme, (character) => replacement(trie, replacements, character) ?? character).join('');
  };
  const normalizeOnce = (grapheme: string): string => {
    const before = known.get(grapheme);
    if (before !== undefined) return before;
    const made = normalize(grapheme);
    if (known.size >= KEPT) known.clear();
    known.set(grapheme, made);
    return made;
  };

  return (text) => {
    let normalized = '';
    // Printable ASCII has no grapheme of two characters, and needs no segmenter, which is slow.
    if (/^[\n -~]*$/.test(text)) for (const character of text) normalized += normalizeOnce(character);
    else for (const { segment } of segmenter.segment(text)) normalized += normalizeOnce(segment);
    return normalized;
  };
}

/** What the shortest key that `text` begins with is replaced by; undefined when none is. */
function replacement(trie: Uint32Array, replacements: Buffer, text: string): string | undefined {
  let unit = trie[0] ?? 0;
  let at = offset(unit);
  for (const byte of Buffer.from(text)) {
    if (byte === 0) return undefined;
    at ^= byte;
    unit = trie[at] ?? 0;
    // The top bit marks a value, which is no label.
    if ((unit & 0x8000_00ff) !== byte) return undefined;
    at ^= offset(unit);
    if ((unit & 0x100) === 0) continue;
    const start = (trie[at] ?? 0) & 0x7fff_ffff;
    const end = replacements.indexOf(0, start);
    return replacements.toString('utf8', start, end === -1 ? undefined : end);
  }
  return undefined;
}

function offset(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}
