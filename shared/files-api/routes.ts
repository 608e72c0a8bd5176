/**
 * `/v1/files`: files that callers send for their jobs, and those that jobs make for them. Knows their fields; leaves where they lie to the
 * store. A file of another key is answered as if it did not exist.
 */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { AppError } from '../contracts/errors.ts';
import { FileListQuery, type FileObject, pageOf, type UploadPurpose } from '../contracts/openai/file.ts';
import { parseOpenAiRequest } from '../contracts/openai/parse-request.ts';
import type { FileStore, StoredFile } from '../files/file-store.ts';
import { mayAccess, ownersSeenBy, type Principal } from '../http/principal.ts';
import type { Route } from '../http/request-context.ts';
import { unlessGone } from '../http/unless-gone.ts';
import type { UnsentAnswers } from '../http/unsent-answers.ts';
import { formOf, receiveUpload } from './upload.ts';

export interface FileParts {
  readonly open: () => Promise<FileStore>;
  /** What files may be sent for. */
  readonly purpose: UploadPurpose;
  readonly mostBytes: number;
  readonly unsent: UnsentAnswers;
  /** Names what needs a file still, which is not deleted then. */
  readonly neededBy?: (file: StoredFile) => Promise<string | undefined>;
}

/** Each holds a connection and a file open for as long as it likes. */
const UPLOADS_AT_ONCE = 16;
/** What of a form is not its file. */
const FORM_BYTES = 64 * 1024;

export function uploadFileRoute({ open, purpose, mostBytes }: FileParts): Route {
  let uploads = 0;
  return unlessGone(async (context) => {
    if (Number(context.req.header('content-length') ?? 0) > mostBytes + FORM_BYTES) {
      throw new AppError('body_too_large', `a file may have at most ${mostBytes} bytes`);
    }
    const form = formOf(context.req.raw);
    const files = await open();
    if (uploads >= UPLOADS_AT_ONCE) {
      throw new AppError('overloaded', `${uploads} files are being sent; try again soon`, { retryAfter: 5 });
    }
    uploads++;
    try {
      const { received, name, fields } = await receiveUpload(context.req.raw, form, files, mostBytes);
      if (fields.get('purpose') !== purpose) {
        await files.discard(received.blob);
        throw new AppError('invalid_field', `purpose must be ${purpose}`, { field: 'purpose' });
      }
      const owner = context.get('principal').name;
      const file = await files.keep(received, { id: received.blob, owner, purpose, name });
      context.set('logged', { ...context.get('logged'), file: file.id, bytes: file.bytes });
      return context.json(fileObject(file));
    } finally {
      uploads--;
    }
  });
}

export function listFilesRoute({ open }: FileParts): Route {
  return async (context) => {
    const { request } = parseOpenAiRequest(FileListQuery, context.req.query());
    const files = await open();
    const principal = context.get('principal');
    if (request.after !== undefined) accessible(files, request.after, principal, 'after');
    const found = files.list({
      owner: ownersSeenBy(principal),
      purpose: request.purpose,
      after: request.after,
      oldestFirst: request.order === 'asc',
      limit: request.limit + 1,
    });
    return context.json(pageOf(found.map(fileObject), request.limit));
  };
}

export function fileRoute({ open }: FileParts): Route {
  return async (context) => {
    const files = await open();
    return context.json(fileObject(accessible(files, context.req.param('file_id'), context.get('principal'))));
  };
}

export function fileContentRoute({ open, unsent }: FileParts): Route {
  return async (context) => {
    const files = await open();
    const { path, bytes, name } = accessible(files, context.req.param('file_id'), context.get('principal'));
    const headers = {
      'Content-Type': 'application/octet-stream',
      'Content-Length': String(bytes),
      'Content-Disposition': `attachment; filename*=UTF-8''${encodeURIComponent(name.toWellFormed())}`,
    };
    // Nobody would read it, nor close it.
    if (context.req.method === 'HEAD') return context.body(null, 200, headers);
    const stream = createReadStream(path);
    const { outgoing } = context.env;
    if (outgoing !== undefined) unsent.weighDownload(outgoing, () => stream.bytesRead);
    return context.body(Readable.toWeb(stream) as ReadableStream, 200, headers);
  };
}

export function deleteFileRoute({ open, neededBy }: FileParts): Route {
  return async (context) => {
    const files = await open();
    const file = accessible(files, context.req.param('file_id'), context.get('principal'));
    const needing = await neededBy?.(file);
    if (needing !== undefined) {
      throw new AppError('conflict', `${needing} has not read ${file.id} yet: wait until it has, or cancel it`);
    }
    await files.remove(file);
    return context.json({ id: file.id, object: 'file', deleted: true });
  };
}

/** AppError not_found. `field`: where its id was given. */
export function accessible(files: FileStore, id: string | undefined, principal: Principal, field = 'id'): StoredFile {
  const file = files.find(id ?? '');
  if (file !== undefined && mayAccess(principal, file.owner)) return file;
  throw new AppError('not_found', `there is no file ${JSON.stringify(id?.slice(0, 100))}`, { field });
}

function fileObject({ id, bytes, createdAt, name, purpose, sha256 }: StoredFile): FileObject {
  const created_at = Math.floor(createdAt / 1000);
  return { id, object: 'file', bytes, created_at, filename: name, purpose, status: 'processed', sha256 };
}
