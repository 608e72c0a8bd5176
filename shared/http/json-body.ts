/**
 * Reads a request's body as JSON, or as text, without ever holding more than a limit. Knows nothing of what it should contain.
 */
import { AppError } from '../contracts/errors.ts';

/**
 * AppError body_too_large or invalid_json. Rejects with the connection's own error when the client leaves meanwhile. `onLength` is told how
 * much there is or will be, once for a declared length and else with every piece, and may throw.
 */
export async function readJsonBody(
  request: Request,
  limitBytes: number,
  onLength: (bytes: number) => void = () => {},
): Promise<unknown> {
  const text = await readTextBody(request, limitBytes, onLength);
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : 'it cannot be read';
    throw new AppError('invalid_json', `the body must be JSON: ${text === '' ? 'it is empty' : reason}`);
  }
}

/** The same for a body that is text of another kind; AppError invalid_json when it is no UTF-8. */
export async function readTextBody(
  request: Request,
  limitBytes: number,
  onLength: (bytes: number) => void = () => {},
): Promise<string> {
  const declared = request.headers.get('content-length');
  const bytes =
    declared === null
      ? await readAtMost(request, limitBytes, onLength)
      : await readDeclared(request, Number(declared), limitBytes, onLength);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new AppError('invalid_json', 'the body is not valid UTF-8');
  }
}

/** The HTTP parser holds a client to the length it declared, so that the quick way is safe. */
async function readDeclared(
  request: Request,
  declared: number,
  limitBytes: number,
  onLength: (bytes: number) => void,
): Promise<Uint8Array> {
  if (declared > limitBytes) throw tooLarge(limitBytes);
  onLength(declared);
  return new Uint8Array(await request.arrayBuffer());
}

async function readAtMost(
  request: Request,
  limitBytes: number,
  onLength: (bytes: number) => void,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.byteLength;
    if (length > limitBytes) throw tooLarge(limitBytes);
    onLength(length);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(limitBytes: number): AppError {
  return new AppError('body_too_large', `the body may have at most ${limitBytes} bytes`);
}
