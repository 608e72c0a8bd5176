/**
 * The ways in which clients of OpenAI and vLLM ask for an answer of a certain form, and the one form they come to. Knows nothing of how
 * an answer is held to it.
 */
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { ResponseFormat } from '../response-format.ts';

const Schema = z.union([z.record(z.string(), z.unknown()), z.string()], {
  error: 'must be a JSON schema, as an object or as its text',
});
const Choices = z.array(z.string().min(1).max(512)).min(1).max(1000);

export const OUTPUT_FORMAT_FIELDS = {
  response_format: ResponseFormat.optional(),
  /** vLLM's, as it is now and as it was. */
  structured_outputs: z
    .object({
      json: Schema.nullish(),
      regex: z.string().min(1).nullish(),
      choice: Choices.nullish(),
      json_object: z.boolean().nullish(),
    })
    .optional(),
  guided_json: Schema.optional(),
  guided_regex: z.string().min(1).optional(),
  guided_choice: Choices.optional(),
} as const;

export type OutputFormatFields = z.infer<z.ZodObject<typeof OUTPUT_FORMAT_FIELDS>>;

/** Undefined when any text will do. AppError invalid_field when there are several, or one that cannot be. */
export function outputFormatOf(fields: OutputFormatFields): ResponseFormat | undefined {
  const { structured_outputs: structured } = fields;
  const formats = [
    fields.response_format?.type === 'text' ? undefined : fields.response_format,
    ofSchema('structured_outputs', structured?.json),
    ofPattern('structured_outputs', structured?.regex),
    ofPattern('structured_outputs', anyOf(structured?.choice)),
    structured?.json_object === true ? ({ type: 'json_object' } as const) : undefined,
    ofSchema('guided_json', fields.guided_json),
    ofPattern('guided_regex', fields.guided_regex),
    ofPattern('guided_choice', anyOf(fields.guided_choice)),
  ].filter((format) => format !== undefined);
  if (formats.length > 1) {
    throw new AppError(
      'invalid_field',
      'response_format: the answer can have one form only, but several are asked for',
      {
        field: 'response_format',
      },
    );
  }
  return formats[0];
}

function ofSchema(field: string, schema: z.infer<typeof Schema> | null | undefined): ResponseFormat | undefined {
  if (schema == null) return undefined;
  return checked(field, {
    type: 'json_schema',
    json_schema: { schema: typeof schema === 'string' ? parse(schema) : schema },
  });
}

function ofPattern(field: string, pattern: string | null | undefined): ResponseFormat | undefined {
  return pattern == null ? undefined : checked(field, { type: 'regex', pattern });
}

function checked(field: string, format: unknown): ResponseFormat {
  const parsed = ResponseFormat.safeParse(format);
  if (parsed.success) return parsed.data;
  throw new AppError('invalid_field', `${field}: ${parsed.error.issues[0]?.message}`, { field });
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** A regular expression that takes one of the texts. */
function anyOf(choices: readonly string[] | null | undefined): string | undefined {
  return choices?.map((choice) => choice.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&')).join('|');
}
