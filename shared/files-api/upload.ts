/**
 * An upload (multipart/form-data with one file) from its first byte to its last: its file goes to the disk while it comes, its few fields are
 * kept, in whichever order they are sent. Knows nothing of what a file is for.
 */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Busboy, type BusboyFileStream, type BusboyHeaders, type BusboyInstance } from '@fastify/busboy';
import { AppError } from '../contracts/errors.ts';
import type { FileStore, ReceivedBytes } from '../files/file-store.ts';

export interface Upload {
  readonly received: ReceivedBytes;
  /** As the sender calls it. */
  readonly name: string;
  readonly fields: ReadonlyMap<string, string>;
}

const LIMITS = { files: 1, fields: 16, fieldNameSize: 100, fieldSize: 4096, headerPairs: 32 } as const;
const LONGEST_NAME = 255;
const FORM = 'send multipart/form-data with the fields purpose and file';

/** AppError invalid_field, body_too_large, disk_full; whatever it rejects with, nothing is left of the file. */
export async function receiveUpload(
  request: Request,
  form: BusboyInstance,
  store: FileStore,
  mostBytes: number,
): Promise<Upload> {
  const fields = new Map<string, string>();
  let name = '';
  let file: BusboyFileStream | undefined;
  let receiving: Promise<ReceivedBytes> | undefined;
  form.on('field', (field, value) => fields.set(field, value));
  form.on('file', (field, stream, fileName) => {
    if (field !== 'file' || file !== undefined) return stream.resume();
    file = stream;
    name = [...(fileName || 'file')].slice(0, LONGEST_NAME).join('');
    receiving = store.receive(stream as AsyncIterable<Buffer>, mostBytes);
    // What is wrong with the file ends the form as well.
    receiving.catch((error) => form.destroy(error));
  });
  try {
    if (request.body === null) throw new AppError('invalid_field', `the body is empty; ${FORM}`);
    await pipeline(Readable.fromWeb(request.body as Parameters<typeof Readable.fromWeb>[0]), form);
    if (receiving === undefined) throw new AppError('invalid_field', `there is no file; ${FORM}`, { field: 'file' });
    return { received: await receiving, name, fields };
  } catch (error) {
    // Which a form that has ended early would let wait for its end.
    file?.destroy(error instanceof Error ? error : undefined);
    const received = await receiving?.catch(() => undefined);
    if (received !== undefined) await store.discard(received.blob);
    throw inWords(error);
  }
}

/** What reads it. AppError invalid_field when the request has no form. */
export function formOf(request: Request): BusboyInstance {
  const type = request.headers.get('content-type') ?? '';
  try {
    const headers: BusboyHeaders = { 'content-type': type };
    return new Busboy({ headers, limits: LIMITS });
  } catch (error) {
    const shown = type === '' ? 'has no content type' : `is ${type.slice(0, 100)}`;
    throw new AppError('invalid_field', `the body ${shown}; ${FORM}`, { cause: error });
  }
}

/** What the parser says is always of the form itself. */
function inWords(error: unknown): unknown {
  if (error instanceof AppError || (error instanceof Error && 'code' in error)) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new AppError('invalid_field', `the form cannot be read: ${reason}; ${FORM}`);
}
