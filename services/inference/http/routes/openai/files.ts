/**
 * `/v1/files`: files that callers send for their batches, and those that batches make for them. Knows their fields; leaves where they lie to the
 * store. A file of another key is answered as if it did not exist.
 */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { FileListQuery, type FileObject, pageOf, UPLOAD_PURPOSES } from '@slipway/shared/contracts/openai/file.ts';
import { parseOpenAiRequest } from '@slipway/shared/contracts/openai/parse-request.ts';
import type { FileStore, StoredFile } from '@slipway/shared/files/file-store.ts';
import { hasScope, mayAccess, type Principal } from '@slipway/shared/http/principal.ts';
import { newId } from '@slipway/shared/lib/ids.ts';
import type { Route, ServiceParts } from '../../service-parts.ts';
import { unlessGone } from '../../unless-gone.ts';
import { formOf, receiveUpload } from '../../upload.ts';

/** Each holds a connection and a file open for as long as it likes. */
const UPLOADS_AT_ONCE = 16;
/** What of a form is not its file. */
const FORM_BYTES = 64 * 1024;

export function uploadFileRoute({ config, batches }: ServiceParts): Route {
  let uploads = 0;
  return unlessGone(async (context) => {
    const most = config.fileLimitBytes;
    if (Number(context.req.header('content-length') ?? 0) > most + FORM_BYTES) {
      throw new AppError('body_too_large', `a file may have at most ${most} bytes`);
    }
    const form = formOf(context.req.raw);
    const { files } = await batches.get();
    if (uploads >= UPLOADS_AT_ONCE) {
      throw new AppError('overloaded', `${uploads} files are being sent; try again soon`, { retryAfter: 5 });
    }
    uploads++;
    try {
      const { received, name, fields } = await receiveUpload(context.req.raw, form, files, most);
      const purpose = UPLOAD_PURPOSES.find((one) => one === fields.get('purpose'));
      if (purpose === undefined) {
        await files.discard(received.blob);
        throw new AppError('invalid_field', `purpose must be ${UPLOAD_PURPOSES.join(' or ')}`, { field: 'purpose' });
      }
      const owner = context.get('principal').name;
      const file = await files.keep(received, { id: newId('file'), owner, purpose, name });
      context.set('logged', { ...context.get('logged'), file: file.id, bytes: file.bytes });
      return context.json(fileObject(file));
    } finally {
      uploads--;
    }
  });
}

export function listFilesRoute({ batches }: ServiceParts): Route {
  return async (context) => {
    const { request } = parseOpenAiRequest(FileListQuery, context.req.query());
    const { files } = await batches.get();
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

export function fileRoute({ batches }: ServiceParts): Route {
  return async (context) => {
    const { files } = await batches.get();
    return context.json(fileObject(accessible(files, context.req.param('file_id'), context.get('principal'))));
  };
}

export function fileContentRoute({ batches, unsent }: ServiceParts): Route {
  return async (context) => {
    const { files } = await batches.get();
    const { path, bytes, name } = accessible(files, context.req.param('file_id'), context.get('principal'));
    const stream = createReadStream(path);
    const { outgoing } = context.env;
    if (outgoing !== undefined) unsent.weighDownload(outgoing, () => stream.bytesRead);
    return context.body(Readable.toWeb(stream) as ReadableStream, 200, {
      'Content-Type': 'application/octet-stream',
      'Content-Length': String(bytes),
      'Content-Disposition': `attachment; filename*=UTF-8''${encodeURIComponent(name.toWellFormed())}`,
    });
  };
}

export function deleteFileRoute({ batches }: ServiceParts): Route {
  return async (context) => {
    const { files } = await batches.get();
    const file = accessible(files, context.req.param('file_id'), context.get('principal'));
    await files.remove(file);
    return context.json({ id: file.id, object: 'file', deleted: true });
  };
}

/** Undefined: all of them. */
export function ownersSeenBy(principal: Principal): string | undefined {
  return hasScope(principal, 'admin') ? undefined : principal.name;
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
