/**
 * Files as OpenAI's API tells of them. Knows nothing of where they lie.
 */
import { z } from 'zod';

/** What a file may be sent for: each service takes some of them. */
export type UploadPurpose = 'batch' | 'fine-tune';

const MOST_LISTED = 10_000;

export const FileListQuery = z.object({
  purpose: z.string().max(64).optional(),
  after: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(MOST_LISTED).default(MOST_LISTED),
  order: z.enum(['asc', 'desc']).default('desc'),
});

export const FileObject = z.object({
  id: z.string(),
  object: z.literal('file'),
  bytes: z.int(),
  created_at: z.int(),
  filename: z.string(),
  purpose: z.string(),
  status: z.literal('processed'),
  /** Ours. */
  sha256: z.string(),
});
export type FileObject = z.infer<typeof FileObject>;

/** The fields of the form that one is sent by. */
export function fileUpload(purpose: UploadPurpose) {
  return z.object({
    purpose: z.literal(purpose),
    file: z.string().meta({ format: 'binary', description: 'its bytes, with a file name' }),
  });
}

export const FileDeleted = z.object({ id: z.string(), object: z.literal('file'), deleted: z.literal(true) });

/** A page of a list, newest first unless asked otherwise. */
export function listOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    object: z.literal('list'),
    data: z.array(item),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
    has_more: z.boolean(),
  });
}

export const FileList = listOf(FileObject);

/** `found`: one more than the page has, where there are more. */
export function pageOf<T extends { readonly id: string }>(found: readonly T[], limit: number) {
  const data = found.slice(0, limit);
  return {
    object: 'list' as const,
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: found.length > limit,
  };
}
