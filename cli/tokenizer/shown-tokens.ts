/**
 * Tokens of a text for the eye: one colour after the other where there are colours, between bars where there are none. Knows no
 * tokenizer.
 */
import { styleText } from 'node:util';

const COLOURS = ['bgGreenBright', 'bgYellowBright', 'bgBlueBright', 'bgMagentaBright', 'bgCyanBright'] as const;

/** `bytes`: what each token stands for. Parts of a character are shown as their bytes, a line break as ⏎ and a new line. */
export function shownTokens(bytes: readonly Uint8Array[], coloured: boolean): string {
  const texts = bytes.map(shownBytes);
  if (!coloured) return texts.join('|').replaceAll('⏎', '⏎\n');
  return texts
    .map((text, index) => {
      const colour = COLOURS[index % COLOURS.length] ?? COLOURS[0];
      // A background is not carried over the end of a line.
      return text
        .split(/(?<=⏎)/)
        .map((line) => styleText(['black', colour], line, { validateStream: false }))
        .join('\n')
        .concat(text.endsWith('⏎') ? '\n' : '');
    })
    .join('');
}

function shownBytes(bytes: Uint8Array): string {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  const isWhole = Buffer.compare(Buffer.from(text), bytes) === 0;
  const readable = isWhole
    ? text
    : Array.from(bytes, (byte) => (byte < 0x80 ? String.fromCharCode(byte) : hex(byte))).join('');
  return readable
    .replaceAll('\n', '⏎')
    .replaceAll('\t', '→')
    .replace(/\p{Cc}/gu, (control) => hex(control.charCodeAt(0)));
}

function hex(byte: number): string {
  return `<${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
}
