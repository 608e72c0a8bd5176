/**
 * The messages of a conversation as OpenAI's clients write them, and the tools that may be called. Knows no template and no model.
 */
import { z } from 'zod';

const NO_IMAGES = 'must be a text part: this service reads text only, no images, sound or files';

const TextPart = z.object({ type: z.enum(['text', 'input_text'], { error: NO_IMAGES }), text: z.string() });
const RefusalPart = z.object({ type: z.literal('refusal', { error: NO_IMAGES }), refusal: z.string() });
const Part = z.discriminatedUnion('type', [TextPart, RefusalPart], { error: NO_IMAGES });
type Part = z.infer<typeof Part>;

/** A text, or parts of one, each a line. */
const Content = z
  .union([z.string(), z.array(Part)], {
    // Of a union zod says only that nothing fits; what is wrong with a part is what the client wants to read.
    error: ({ input }) => (Array.isArray(input) ? NO_IMAGES : 'must be a string or an array of text parts'),
  })
  .transform((content) => (typeof content === 'string' ? content : content.map(textOf).join('\n')));

function textOf(part: Part): string {
  return part.type === 'refusal' ? part.refusal : part.text;
}

const FunctionCall = z.object({
  name: z.string(),
  /** JSON; parsed, because templates write it themselves. */
  arguments: z.union([z.string(), z.record(z.string(), z.unknown())]).transform((given, context) => {
    if (typeof given !== 'string') return given;
    try {
      return z.record(z.string(), z.unknown()).parse(JSON.parse(given === '' ? '{}' : given));
    } catch {
      context.addIssue({ code: 'custom', message: 'must be a JSON object, written as a string' });
      return z.NEVER;
    }
  }),
});

const ToolCall = z.object({
  id: z.string().optional(),
  type: z.literal('function').default('function'),
  function: FunctionCall,
});

const named = { name: z.string().nullish() };

export const ChatMessage = z.discriminatedUnion(
  'role',
  [
    z.object({ role: z.enum(['system', 'developer', 'user']), content: Content, ...named }),
    z.object({
      role: z.literal('assistant'),
      content: Content.nullish(),
      tool_calls: z.array(ToolCall).nullish(),
      ...named,
    }),
    z.object({ role: z.literal('tool'), content: Content, tool_call_id: z.string().nullish(), ...named }),
  ],
  { error: "must be an object whose role is 'system', 'developer', 'user', 'assistant' or 'tool'" },
);
export type ChatMessage = z.infer<typeof ChatMessage>;

const PARAMETERS = 'must be the JSON schema of an object';

/** What else a tool has goes to the template as it is. */
export const Tool = z.looseObject({
  type: z.literal('function'),
  function: z.looseObject({
    name: z.string().regex(/^[\w.-]{1,64}$/, 'must have 1 to 64 letters, digits, dots, dashes and underscores'),
    description: z.string().nullish(),
    parameters: z
      .looseObject({ type: z.literal('object', { error: PARAMETERS }).optional() }, { error: PARAMETERS })
      .nullish(),
    strict: z.boolean().nullish(),
  }),
});
export type Tool = z.infer<typeof Tool>;

export const ToolChoice = z.union(
  [
    z.enum(['none', 'auto', 'required']),
    z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) }),
  ],
  { error: 'must be \'none\', \'auto\', \'required\' or {"type": "function", "function": {"name": ...}}' },
);
export type ToolChoice = z.infer<typeof ToolChoice>;
