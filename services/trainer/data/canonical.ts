/**
 * What every format becomes: a conversation, a completion or a passage of text. One line of examples.jsonl each. Messages are checked by
 * the schema the server itself reads them with. Knows no file format and no tokenizer.
 */
import type { ChatMessage } from '@slipway/shared/contracts/openai/chat-message.ts';
import { z } from 'zod';

/** As the server hands it to a template, with what only training data has. */
export type Message = ChatMessage & { readonly reasoning_content?: string };

/** Looser than what the server lets be called: a template writes whatever it is given, and data sets have types like `dict`. */
export const ToolDefinition = z.looseObject({
  type: z.literal('function'),
  function: z.looseObject({ name: z.string().min(1) }),
});
export type ToolDefinition = z.infer<typeof ToolDefinition>;

export interface Conversation {
  readonly messages: readonly Message[];
  readonly tools?: readonly ToolDefinition[];
  /** Indices of the messages that are learnt; absent: every assistant message. */
  readonly trained_turns?: readonly number[];
}

export interface Completion {
  readonly prompt: string;
  readonly completion: string;
}

export interface Passage {
  readonly text: string;
  /** False: the document began before this passage. */
  readonly begins?: false;
  /** True: the document goes on in another passage. */
  readonly continued?: true;
}

export type Example = Conversation | Completion | Passage;

/** What a folder of prepared data is made for: pretraining takes a stream of documents, fine-tuning examples. */
export type DatasetKind = 'stream' | 'examples';

/** Only what this package has written itself is read by it: shapes, not contents, are checked. */
const Line = z.union([
  z.object({
    messages: z.array(z.custom<Message>((value) => typeof value === 'object')),
    tools: z.array(z.custom<ToolDefinition>((value) => typeof value === 'object')).optional(),
    trained_turns: z.array(z.number()).optional(),
  }),
  z.object({ prompt: z.string(), completion: z.string() }),
  z.object({ text: z.string(), begins: z.literal(false).optional(), continued: z.literal(true).optional() }),
]);

export function parseExample(line: string): Example {
  return Line.parse(JSON.parse(line)) as Example;
}
