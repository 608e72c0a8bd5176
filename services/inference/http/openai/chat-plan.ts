/**
 * What a request to `/v1/chat/completions` means for the model it goes to. Pure. Knows nothing of how it runs and how the answer is told.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { GenerateRequest } from '@slipway/shared/contracts/generate.ts';
import type { ChatRequest } from '@slipway/shared/contracts/openai/chat.ts';
import { outputFormatOf } from '@slipway/shared/contracts/openai/output-format.ts';
import { promptLimit } from '../../generation/admission.ts';
import type { LoadedModel } from '../../generation/loaded-model.ts';
import { renderConversation } from './chat-prompt-input.ts';
import type { ServiceLimits } from './completion-plan.ts';
import { newTokensOf, settingsOf } from './generate-request.ts';
import { planTools, type ToolPlan } from './tool-plan.ts';

export interface ChatPlan {
  readonly request: GenerateRequest & { readonly prompt: readonly number[] };
  readonly tools: ToolPlan;
}

/** AppError invalid_field, or prompt_too_long. */
export function planChat(
  fields: ChatRequest,
  model: LoadedModel,
  limits: ServiceLimits,
  warn: (warning: string) => void,
): ChatPlan {
  const { logprobs, top_logprobs, truncation } = fields;
  if (top_logprobs !== undefined && !logprobs) {
    throw new AppError('invalid_field', 'top_logprobs is only allowed together with "logprobs": true', {
      field: 'top_logprobs',
    });
  }
  const field = fields.max_completion_tokens === undefined ? 'max_tokens' : 'max_completion_tokens';
  // Without a wish an answer may be as long as any: OpenAI has no other default.
  const newTokens = newTokensOf(field, fields[field] ?? limits.maxNewTokens, fields.min_tokens, limits, warn);
  const { contextLength } = model.engine.info;
  const { maxPromptTokens } = limits;
  const isWhole = truncation === 'disabled';
  const limit = promptLimit(isWhole ? 1 : newTokens.max_new_tokens, { maxPromptTokens, contextLength });
  const tools = planTools(fields, outputFormatOf(fields), model, warn);
  const told = { ...fields, tools: [...tools.tools] };
  const { tokens, droppedMessages } = renderConversation(told, model, { limit, isWhole });
  if (droppedMessages > 0) warn(`the oldest ${droppedMessages} messages were left out: there was no room for them`);
  return {
    tools,
    request: {
      ...settingsOf(fields, limits),
      ...newTokens,
      max_new_tokens: Math.min(newTokens.max_new_tokens, contextLength - tokens.length),
      prompt: tokens,
      ...(tools.form === undefined ? {} : { response_format: tools.form }),
      ...(logprobs ? { logprobs: top_logprobs ?? 0 } : {}),
    },
  };
}
