/**
 * Schemas and tables of fields as JSON Schema, which OpenAPI 3.1 is written in. Pure. Knows no endpoint.
 */
import { z } from 'zod';
import type { Field } from '../../contracts/request-fields.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

/** `input`: what may be sent. `output`: what is answered. What has no equal in JSON Schema allows anything. */
export function jsonSchemaOf(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema: _, ...described } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return described;
}

/** The body that `parseFields` takes. */
export function jsonSchemaOfFields(fields: Readonly<Record<string, Field<unknown>>>): JsonSchema {
  const entries = Object.entries(fields);
  const isRequired = ({ schema }: Field<unknown>) => !schema.safeParse(undefined).success;
  return {
    type: 'object',
    properties: Object.fromEntries(entries.map(([name, field]) => [name, ofField(field)])),
    required: entries.filter(([, field]) => isRequired(field)).map(([name]) => name),
    additionalProperties: false,
  };
}

function ofField({ schema, allowed }: Field<unknown>): JsonSchema {
  const { data: fallback } = schema.safeParse(undefined);
  return {
    ...jsonSchemaOf(whenGiven(schema), 'input'),
    description: allowed,
    ...(fallback === undefined ? {} : { default: fallback }),
  };
}

/** Without what stands for its absence, which JSON has no value for. */
function whenGiven(schema: z.ZodType): z.ZodType {
  if (!(schema instanceof z.ZodUnion)) return schema;
  const given = schema.options.filter(
    (option) => !(option instanceof z.ZodType && option.safeParse(undefined).success),
  );
  const [only] = given;
  if (given.length === 1 && only instanceof z.ZodType) return only;
  return z.union(given);
}
