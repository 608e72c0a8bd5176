/**
 * Regular expressions of tokenizer.json files, written for Oniguruma, as JavaScript's. What cannot be said is refused, so that
 * text is never cut differently in silence.
 */
import { AppError } from '../contracts/errors.ts';

/** Unicode's meaning of the classes; JavaScript's own \s lacks U+0085 and has U+FEFF, its \d and \w are ASCII. */
const CLASSES: Readonly<Record<string, string>> = {
  s: '\\p{White_Space}',
  S: '\\P{White_Space}',
  d: '\\p{Nd}',
  D: '\\P{Nd}',
};

const SCRIPTS = /^(\^?)(Han|Hiragana|Katakana|Hangul|Latin|Cyrillic|Arabic|Thai|Greek|Hebrew|Devanagari)$/;

/** AppError unsupported_source when the pattern has no JavaScript equivalent. */
export function toJavaScriptRegex(pattern: string): RegExp {
  try {
    return new RegExp(translate(pattern), 'gu');
  } catch (cause) {
    throw new AppError('unsupported_source', `tokenizer.json: the pattern ${JSON.stringify(pattern)} cannot be used`, {
      cause,
    });
  }
}

function translate(pattern: string): string {
  return pattern.replace(
    /\\(?:([pP])\{([^}]*)\}|x\{([0-9A-Fa-f]+)\}|([\s\S]))/gu,
    (whole, kind, property, hex, letter) => {
      if (property !== undefined) return unicodeProperty(kind, property);
      if (hex !== undefined) return `\\u{${hex}}`;
      if (CLASSES[letter]) return CLASSES[letter];
      // ASCII in JavaScript, Unicode in Oniguruma, and not to be said as one class.
      if (/[wWbB]/.test(letter)) throw new SyntaxError(`\\${letter} has another meaning`);
      // JavaScript refuses an escape that is not needed.
      return /[\^$\\.*+?()[\]{}|/\-nrtfvu1-9]/.test(letter) ? whole : letter;
    },
  );
}

function unicodeProperty(kind: string, property: string): string {
  const [, not, script] = SCRIPTS.exec(property) ?? [];
  const letter = not ? (kind === 'p' ? 'P' : 'p') : kind;
  if (script) return `\\${letter}{Script=${script}}`;
  return property.startsWith('^') ? `\\${kind === 'p' ? 'P' : 'p'}{${property.slice(1)}}` : `\\${kind}{${property}}`;
}
