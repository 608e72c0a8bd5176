/**
 * Which byte of a text each byte of its tokens came from. Tokenizers put a space in front or normalize; everything else they leave.
 * Pure; knows no vocabulary.
 */

/** For each index from 0 to the length of `joined` (the bytes of all tokens) the offset in `text`; undefined when it cannot be told. */
export function alignBytes(text: string, joined: Uint8Array): readonly number[] | undefined {
  const bytes = new TextEncoder().encode(text);
  if (isEqual(joined, bytes)) return offsets(joined.length, 0);
  if (joined[0] === SPACE && isEqual(joined.subarray(1), bytes)) return offsets(joined.length, 1);
  return alignNormalized(text, joined);
}

const SPACE = 0x20;

function offsets(length: number, added: number): number[] {
  return Array.from({ length: length + 1 }, (_, index) => Math.max(0, index - added));
}

const FORMS: readonly ((text: string) => string)[] = [
  (text) => text,
  ...(['NFC', 'NFKC', 'NFD', 'NFKD'] as const).flatMap((form) => [
    (text: string) => text.normalize(form),
    (text: string) => text.normalize(form).toLowerCase(),
  ]),
];

/** Normalizing changes no more than one character as people see it at a time. */
function alignNormalized(text: string, joined: Uint8Array): readonly number[] | undefined {
  const seen = decodeStrictly(joined);
  if (seen === undefined) return undefined;
  const map: number[] = [];
  let from = 0;
  let at = 0;
  if (seen.startsWith(' ') && !text.startsWith(' ')) {
    map.push(0);
    at = 1;
  }
  for (const { segment } of new Intl.Segmenter('und', { granularity: 'grapheme' }).segment(text)) {
    const form = FORMS.map((change) => change(segment)).find((changed) => seen.startsWith(changed, at));
    if (form === undefined) return undefined;
    const length = Buffer.byteLength(segment);
    for (let byte = 0; byte < Buffer.byteLength(form); byte++) map.push(from + Math.min(byte, length));
    from += length;
    at += form.length;
  }
  map.push(from);
  return at === seen.length ? map : undefined;
}

function decodeStrictly(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
