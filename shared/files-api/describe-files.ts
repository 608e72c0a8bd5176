/**
 * What `/v1/files` takes and gives, for the description of a service's API. Loaded when that is first asked for.
 */
import { FileDeleted, FileList, FileObject, fileUpload, type UploadPurpose } from '../contracts/openai/file.ts';
import { jsonSchemaOf } from '../http/description/json-schema.ts';
import { type Operation, pageQuery } from '../http/description/openapi.ts';

export function describeFiles(purpose: UploadPurpose) {
  return {
    'POST /v1/files': { form: jsonSchemaOf(fileUpload(purpose), 'input'), answer: FileObject },
    'GET /v1/files': {
      query: {
        purpose: { type: 'string' },
        ...pageQuery(10_000, 10_000),
        order: { enum: ['asc', 'desc'], default: 'desc' },
      },
      answer: FileList,
    },
    'GET /v1/files/{id}': { answer: FileObject },
    'GET /v1/files/{id}/content': { answer: 'application/octet-stream' },
    'DELETE /v1/files/{id}': { answer: FileDeleted },
  } as const satisfies Readonly<Record<string, Operation>>;
}
