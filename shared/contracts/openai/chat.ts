/**
 * What `POST /v1/chat/completions` takes and gives, as OpenAI and vLLM have it. Knows nothing of how an answer is made.
 */
import { z } from 'zod';
import { TokenUsage } from './answer-parts.ts';
import { ChatMessage, Tool, ToolChoice } from './chat-message.ts';
import { PromptLogprobs } from './completion.ts';
import { OUTPUT_FORMAT_FIELDS } from './output-format.ts';
import { REQUEST_FIELDS } from './request-fields.ts';

const MESSAGES = 4096;
const TOOLS = 128;

/** How messages become a prompt. */
export const RENDERING_FIELDS = {
  messages: z.array(ChatMessage).min(1).max(MESSAGES),
  tools: z.array(Tool).max(TOOLS).optional(),
  add_generation_prompt: z.boolean().optional(),
  continue_final_message: z.boolean().default(false),
  chat_template_kwargs: z.record(z.string(), z.unknown()).optional(),
} as const;

export type RenderingFields = z.infer<z.ZodObject<typeof RENDERING_FIELDS>>;

export const ChatRequest = z.object({
  ...REQUEST_FIELDS,
  ...OUTPUT_FORMAT_FIELDS,
  ...RENDERING_FIELDS,
  max_tokens: z.int().min(1).optional(),
  max_completion_tokens: z.int().min(1).optional(),
  logprobs: z.boolean().default(false),
  top_logprobs: z.int().min(0).max(20).optional(),
  tool_choice: ToolChoice.optional(),
  parallel_tool_calls: z.boolean().default(true),
});
export type ChatRequest = z.infer<typeof ChatRequest>;

const tokenLogprob = {
  token: z.string(),
  logprob: z.number(),
  bytes: z.array(z.int()).nullable(),
};
const ChatLogprobs = z.object({
  content: z.array(z.object({ ...tokenLogprob, top_logprobs: z.array(z.object(tokenLogprob)) })),
  refusal: z.null(),
});
export type ChatLogprobs = z.infer<typeof ChatLogprobs>;

const ToolCallAnswer = z.object({
  id: z.string(),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
});
export type ToolCallAnswer = z.infer<typeof ToolCallAnswer>;

const FinishReason = z.enum(['stop', 'length', 'tool_calls']);
export type ChatFinishReason = z.infer<typeof FinishReason>;

const envelope = { id: z.string(), created: z.int(), model: z.string(), system_fingerprint: z.string() };

const ChatMessageAnswer = z.object({
  role: z.literal('assistant'),
  content: z.string().nullable(),
  refusal: z.null(),
  tool_calls: z.array(ToolCallAnswer).optional(),
});
export type ChatMessageAnswer = z.infer<typeof ChatMessageAnswer>;

export const ChatCompletion = z.object({
  ...envelope,
  object: z.literal('chat.completion'),
  choices: z.array(
    z.object({
      index: z.int(),
      message: ChatMessageAnswer,
      logprobs: ChatLogprobs.nullable(),
      finish_reason: FinishReason,
    }),
  ),
  usage: TokenUsage,
  prompt_logprobs: PromptLogprobs.optional(),
});
export type ChatCompletion = z.infer<typeof ChatCompletion>;

const ToolCallDelta = z.object({
  index: z.int(),
  /** With the name, in a call's first delta only. */
  id: z.string().optional(),
  type: z.literal('function').optional(),
  function: z.object({ name: z.string().optional(), arguments: z.string() }),
});
export type ToolCallDelta = z.infer<typeof ToolCallDelta>;

const ChatDelta = z.object({
  role: z.literal('assistant').optional(),
  content: z.string().nullish(),
  tool_calls: z.array(ToolCallDelta).optional(),
});
export type ChatDelta = z.infer<typeof ChatDelta>;

/** An event of a stream. */
export const ChatCompletionChunk = z.object({
  ...envelope,
  object: z.literal('chat.completion.chunk'),
  choices: z.array(
    z.object({
      index: z.int(),
      delta: ChatDelta,
      logprobs: ChatLogprobs.nullable(),
      finish_reason: FinishReason.nullable(),
    }),
  ),
  usage: TokenUsage.nullish(),
});
export type ChatCompletionChunk = z.infer<typeof ChatCompletionChunk>;
