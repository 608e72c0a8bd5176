/**
 * JSON from an untrusted file, where a name that stands twice in an object is a fault: two readers of such a file may see two
 * different files. Knows nothing of what the JSON means.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';

/** AppError invalid_source says where. `label` names the file. */
export function parseStrictJson(bytes: Uint8Array, label: string): unknown {
  let source: string;
  let parsed: unknown;
  try {
    source = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    parsed = JSON.parse(source);
  } catch (cause) {
    const why = cause instanceof SyntaxError ? cause.message : 'it is not UTF-8';
    throw new AppError('invalid_source', `${label} is not valid JSON: ${why}`, { cause });
  }
  const twice = repeatedName(source);
  if (twice !== undefined)
    throw new AppError('invalid_source', `${label}: the name ${twice} stands twice in one object`);
  return parsed;
}

/** Only for text that JSON.parse has accepted: a string is a name when a colon follows it. */
function repeatedName(source: string): string | undefined {
  const objects: Set<unknown>[] = [];
  for (const [token, string, colon] of source.matchAll(/("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}]/g)) {
    if (token === '{') objects.push(new Set());
    else if (token === '}') objects.pop();
    else if (string !== undefined && colon !== undefined) {
      // Parsed, because "a" and "\u0061" are one name.
      const name: unknown = JSON.parse(string);
      const names = objects.at(-1);
      if (names?.has(name)) return string;
      names?.add(name);
    }
  }
  return undefined;
}
