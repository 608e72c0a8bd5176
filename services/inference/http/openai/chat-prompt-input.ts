/**
 * A conversation of OpenAI's clients as templates want it, and the prompt it becomes. Pure.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { RenderingFields } from '@slipway/shared/contracts/openai/chat.ts';
import type { ChatMessage } from '@slipway/shared/contracts/openai/chat-message.ts';
import {
  type AnswerBeginning,
  type ChatPrompt,
  type ChatPromptOptions,
  prepareChat,
  type ChatMessage as TemplateMessage,
} from '../../generation/chat-prompt.ts';
import type { LoadedModel } from '../../generation/loaded-model.ts';

/** AppError invalid_field or prompt_too_long. */
export function renderConversation(
  fields: RenderingFields,
  model: LoadedModel,
  options: Pick<ChatPromptOptions, 'limit' | 'isWhole'>,
): ChatPrompt {
  const { messages, tools, chat_template_kwargs } = fields;
  return prepareChat(model, messagesFor(model.chatTemplate ?? '', messages), {
    ...options,
    answer: answerOf(fields),
    tools: tools === undefined || tools.length === 0 ? undefined : tools,
    variables: chat_template_kwargs,
  });
}

function answerOf({ continue_final_message, add_generation_prompt }: RenderingFields): AnswerBeginning {
  if (!continue_final_message) return add_generation_prompt === false ? 'anything' : 'new-message';
  if (add_generation_prompt !== true) return 'last-message';
  throw new AppError(
    'invalid_field',
    'continue_final_message and add_generation_prompt exclude each other: the last message goes on, or a new one begins',
    { field: 'continue_final_message' },
  );
}

function messagesFor(template: string, messages: readonly ChatMessage[]): TemplateMessage[] {
  // OpenAI's newer name for a system message, which few templates know.
  const developer = template.includes('developer') ? 'developer' : 'system';
  return messages.map((message) => {
    const { role, name, content } = message;
    return {
      role: role === 'developer' ? developer : role,
      content: content ?? '',
      ...(name == null ? {} : { name }),
      ...(message.role === 'assistant' && message.tool_calls?.length ? { tool_calls: message.tool_calls } : {}),
      ...(message.role === 'tool' && message.tool_call_id != null ? { tool_call_id: message.tool_call_id } : {}),
    };
  });
}
