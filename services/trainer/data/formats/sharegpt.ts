/**
 * ShareGPT: {conversations: [{from, value}], system?, tools?}, with calls of functions and what they returned as turns of their own.
 */
import type { Message } from '../canonical.ts';
import { BadExample, type Fields, type Format, has, isFields, optionalText } from './format.ts';
import { callsOf, conversationOf, listOf, messageOf, toolsOf } from './messages.ts';

export const shareGpt: Format = {
  name: 'sharegpt',
  recognizes: (fields) => has(fields, 'conversations') || has(fields, 'conversation'),
  convert(fields) {
    const name = has(fields, 'conversations') ? 'conversations' : 'conversation';
    const turns = listOf(fields[name], name).map(turnOf);
    const system = optionalText(fields, 'system');
    const all: Message[] =
      system === undefined || turns[0]?.role === 'system' ? turns : [{ role: 'system', content: system }, ...turns];
    return conversationOf(all, { tools: toolsOf(fields.tools) });
  },
};

function turnOf(turn: Fields, index: number): Message {
  if (!has(turn, 'from') && has(turn, 'role')) return messageOf(turn, index);
  if (typeof turn.value !== 'string' && !isFields(turn.value))
    throw new BadExample(`conversations[${index}]: value is no text`);
  if (turn.from === 'function_call' || turn.from === 'tool_call') {
    return messageOf({ role: 'assistant', content: '', tool_calls: callsOf(turn.value, index) }, index);
  }
  return messageOf({ from: turn.from, content: turn.value }, index);
}
