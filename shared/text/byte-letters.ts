/**
 * GPT-2's alphabet for bytes: each byte has one printable letter, so that a byte-level vocabulary can be written as text.
 * Source: `bytes_to_unicode` in openai/gpt-2, src/encoder.py.
 */

/** Letter of each byte. */
export const BYTE_LETTERS: readonly string[] = letters();

const BYTES: ReadonlyMap<string, number> = new Map(BYTE_LETTERS.map((letter, byte) => [letter, byte]));

function letters(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCharCode(printable ? byte : next++);
  });
}

/** The bytes that a byte-level piece stands for; undefined when it holds anything but letters of this alphabet. */
export function bytesOfLetters(piece: string): Uint8Array | undefined {
  const bytes = new Uint8Array(piece.length);
  for (let i = 0; i < piece.length; i++) {
    const byte = BYTES.get(piece.charAt(i));
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}
