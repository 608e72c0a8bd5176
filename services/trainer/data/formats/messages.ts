/**
 * Conversations as OpenAI's clients and chat templates write them: {messages: [{role, content}], tools?}. Content may be typed parts, with
 * reasoning and tool calls among them. Everything is checked by the server's own schema, so that nothing is learnt that it would refuse.
 */
import { ChatMessage } from '@slipway/shared/contracts/openai/chat-message.ts';
import { describeIssues } from '@slipway/shared/lib/describe-issues.ts';
import { type Conversation, type Message, ToolDefinition } from '../canonical.ts';
import { BadExample, cleanText, type Fields, type Format, has, isFields, optionalText } from './format.ts';

export const messages: Format = {
  name: 'messages',
  recognizes: (fields) => has(fields, 'messages'),
  convert(fields) {
    if (fields.label === false) throw new BadExample('label is false: it is marked as an answer not to learn from');
    const given = listOf(fields.messages, 'messages');
    const trained = given.flatMap((message, index) =>
      roleOf(message) === 'assistant' && message.weight !== 0 ? index : [],
    );
    const system = optionalText(fields, 'system');
    const all = given.map(messageOf);
    if (system !== undefined && all[0]?.role !== 'system') {
      all.unshift({ role: 'system', content: system });
      for (const [at, index] of trained.entries()) trained[at] = index + 1;
    }
    return conversationOf(all, { tools: toolsOf(fields.tools), trained });
  },
};

/** Messages of a field, each an object. */
export function listOf(value: unknown, name: string): Fields[] {
  const list: unknown = typeof value === 'string' ? parsed(value, name) : value;
  if (!Array.isArray(list)) throw new BadExample(`${name} is no list`);
  return list.map((item: unknown, index) => {
    if (!isFields(item)) throw new BadExample(`${name}[${index}] is no object`);
    return item;
  });
}

const ROLES: Readonly<Record<string, string>> = {
  human: 'user',
  gpt: 'assistant',
  chatgpt: 'assistant',
  model: 'assistant',
  bot: 'assistant',
  function: 'tool',
  observation: 'tool',
  function_response: 'tool',
  tool_response: 'tool',
};

export function roleOf(message: Fields): string {
  const role = String(message.role ?? message.from ?? '');
  return Object.hasOwn(ROLES, role) ? (ROLES[role] ?? role) : role;
}

/** One message by the server's schema, which knows what it may hold. */
export function messageOf(given: Fields, index: number): Message {
  const { content, reasoning, calls } = contentOf(given.content ?? given.value, index);
  const toolCalls = [...callsOf(given.tool_calls, index), ...calls];
  const checked = ChatMessage.safeParse({
    role: roleOf(given),
    content,
    ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls }),
    ...(typeof given.tool_call_id === 'string' ? { tool_call_id: given.tool_call_id } : {}),
    ...(typeof given.name === 'string' ? { name: given.name } : {}),
  });
  if (!checked.success) throw new BadExample(`messages[${index}]: ${describeIssues(checked.error)}`);
  const reasoningContent = typeof given.reasoning_content === 'string' ? given.reasoning_content : reasoning;
  return reasoningContent === '' ? checked.data : { ...checked.data, reasoning_content: cleanText(reasoningContent) };
}

interface Content {
  readonly content: string;
  readonly reasoning: string;
  readonly calls: readonly unknown[];
}

function contentOf(content: unknown, index: number): Content {
  if (typeof content === 'string') return { content: cleanText(content), reasoning: '', calls: [] };
  if (content === undefined || content === null) return { content: '', reasoning: '', calls: [] };
  const [texts, reasoning, calls]: [string[], string[], unknown[]] = [[], [], []];
  for (const part of listOf(content, `messages[${index}].content`)) {
    const value = part.value ?? part.text ?? part[String(part.type)];
    if (part.type === 'tool_call') calls.push(value);
    else if (typeof value !== 'string')
      throw new BadExample(`messages[${index}]: a part of type ${part.type} without text`);
    else if (part.type === 'text' || part.type === 'input_text' || part.type === 'output_text') texts.push(value);
    else if (part.type === 'reasoning' || part.type === 'thinking') reasoning.push(value);
    else
      throw new BadExample(`messages[${index}]: a part of type ${part.type}; text, reasoning and tool_call are learnt`);
  }
  return { content: cleanText(texts.join('\n')), reasoning: reasoning.join('\n'), calls: callsOf(calls, index) };
}

/** As {type, function: {name, arguments}}, whatever is missing of the frame around name and arguments. */
export function callsOf(calls: unknown, index: number): unknown[] {
  if (calls === undefined || calls === null) return [];
  const list = Array.isArray(calls) ? calls : [calls];
  return list.flatMap((call: unknown) => {
    const value = typeof call === 'string' ? parsed(call, `messages[${index}]: the tool call`) : call;
    if (Array.isArray(value)) return callsOf(value, index);
    return [isFields(value) && !has(value, 'function') ? { type: 'function', function: value } : value];
  });
}

export function toolsOf(tools: unknown): ToolDefinition[] | undefined {
  if (tools === undefined || tools === null || tools === '') return undefined;
  const given = listOf(tools, 'tools').map((tool) =>
    has(tool, 'function') ? tool : { type: 'function', function: tool },
  );
  const checked = ToolDefinition.array().safeParse(given);
  if (!checked.success) throw new BadExample(`tools: ${describeIssues(checked.error)}`);
  return checked.data.length === 0 ? undefined : checked.data;
}

function parsed(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new BadExample(`${name} is a string that is no JSON`);
  }
}

/**
 * A conversation that can be learnt from: something is asked, every answer that is trained says something, and nothing stands behind the
 * last answer. `trained`: indices; absent, all answers.
 */
export function conversationOf(
  all: readonly Message[],
  { tools, trained }: { tools?: readonly ToolDefinition[] | undefined; trained?: readonly number[] } = {},
): Conversation {
  const answers = all.flatMap(({ role }, index) => (role === 'assistant' ? index : []));
  const turns = trained ?? answers;
  const last = turns.at(-1);
  if (last === undefined) {
    throw new BadExample(answers.length === 0 ? 'no message of the assistant' : 'no answer is left to learn from');
  }
  if (all.every(({ role }) => role === 'assistant'))
    throw new BadExample("nothing is asked: every message is the assistant's");
  for (const turn of turns) {
    const message = all[turn];
    const isEmpty = message?.role !== 'assistant' || (!message.content?.trim() && !message.tool_calls?.length);
    if (isEmpty) throw new BadExample(`messages[${turn}]: the answer is empty`);
  }
  return {
    messages: all.slice(0, last + 1),
    ...(tools === undefined ? {} : { tools }),
    ...(turns.length === answers.length ? {} : { trained_turns: turns }),
  };
}
