/**
 * The prompts that are continued while a model is trained, as token ids: written as the server would write them for what the model is
 * trained on. Pure but for the tokenizer.
 */
import type { Preparation } from '../data/preparation.ts';
import { encodePlain, encodeRendered, renderConversation, type TextSide } from '../data/text-side.ts';

/** `contextLength`: longer prompts keep their end. */
export function samplePrompts(
  prompts: readonly string[],
  side: TextSide,
  verify: Preparation['verify'],
  contextLength: number,
  maxNewTokens: number,
): { prompt: number[]; max_new_tokens: number }[] {
  const isChat = verify.some((sample) => 'messages' in sample);
  const longest = Math.max(1, contextLength - maxNewTokens);
  return prompts.flatMap((text) => {
    const conversation = { messages: [{ role: 'user' as const, content: text }] };
    const ids = isChat
      ? encodeRendered(side, renderConversation(side, conversation, 1, true))
      : encodePlain(side, text, true);
    return ids.length === 0 ? [] : [{ prompt: ids.slice(-longest), max_new_tokens: maxNewTokens }];
  });
}
