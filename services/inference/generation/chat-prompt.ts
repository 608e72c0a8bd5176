/**
 * From a conversation to the ids the engine gets: rendered by the model's own template, its oldest turns left out whole where it is too
 * long. Pure. Knows nothing of who keeps the conversation, or of HTTP.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { renderChat } from '@slipway/shared/text/chat-template.ts';
import type { Tokenizer } from '@slipway/shared/text/contract.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly [field: string]: unknown;
}

export interface ChatModel {
  readonly name: string;
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: string | null;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
}

export type AnswerBeginning = 'new-message' | 'last-message' | 'anything';

export interface ChatPromptOptions {
  /** The most tokens it may have. */
  readonly limit: number;
  /** All messages or none: what does not fit is refused. */
  readonly isWhole?: boolean;
  /** What the answer begins with. Default: a message of the assistant's. `last-message`: the end of the last message, which goes on. */
  readonly answer?: AnswerBeginning;
  readonly tools?: readonly unknown[] | undefined;
  /** Further variables of the template. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
}

export interface ChatPrompt {
  readonly tokens: readonly number[];
  /** Messages that were left out because there was no room for them. */
  readonly droppedMessages: number;
}

/** No vocabulary has many tokens longer than this: what is longer is not worth encoding to see that it does not fit. */
const CHARACTERS_PER_TOKEN = 64;

/**
 * System messages at the beginning stay, and so does the last turn: a user's message with all that follows it. AppError prompt_too_long
 * when that alone does not fit; invalid_field when the model has no chat template, or its template refuses the messages.
 */
export function prepareChat(
  model: ChatModel,
  messages: readonly ChatMessage[],
  options: ChatPromptOptions,
): ChatPrompt {
  const { head, turns } = splitTurns(messages);
  const tokensWithout = (dropped: number) => encode(model, [...head, ...turns.slice(dropped).flat()], options);
  let tokens = tokensWithout(0);
  if (tokens !== undefined) return { tokens, droppedMessages: 0 };
  if (options.isWhole === true) {
    throw tooLong(
      `messages: they have more than the ${options.limit} tokens that fit before an answer; shorten them, or let the oldest turns be left out with "truncation": "auto"`,
    );
  }
  // The fewest turns that must go; what fits without n turns also fits without n + 1.
  let [tooFew, enough] = [0, Math.max(1, turns.length - 1)];
  tokens = tokensWithout(enough);
  if (tokens === undefined || turns.length < 2) {
    throw tooLong(
      `messages: the last turn alone has more than the ${options.limit} tokens that fit before the answer; shorten it or ask for a shorter answer`,
    );
  }
  while (enough - tooFew > 1) {
    const middle = (tooFew + enough) >> 1;
    const fitting = tokensWithout(middle);
    if (fitting === undefined) tooFew = middle;
    else {
      enough = middle;
      tokens = fitting;
    }
  }
  return { tokens, droppedMessages: turns.slice(0, enough).flat().length };
}

function tooLong(message: string): AppError {
  return new AppError('prompt_too_long', message, { field: 'messages' });
}

/** Undefined when there are more than fit. */
function encode(model: ChatModel, messages: readonly ChatMessage[], options: ChatPromptOptions): number[] | undefined {
  const text = renderMessages(model, messages, options);
  if (text.length > options.limit * CHARACTERS_PER_TOKEN) return undefined;
  const tokens = model.tokenizer.encode(text, { addBos: false, parseSpecial: true });
  return tokens.length > options.limit ? undefined : tokens;
}

function renderMessages(model: ChatModel, messages: readonly ChatMessage[], options: ChatPromptOptions): string {
  if (model.chatTemplate === null) {
    throw new AppError(
      'invalid_field',
      `${model.name} has no chat template, so that it cannot be told who said what; continue a prompt instead`,
      { field: 'messages' },
    );
  }
  const pieceOf = (token: number | null | undefined) => (token == null ? null : model.tokenizer.pieceOf(token));
  const { answer = 'new-message' } = options;
  const text = renderChat(model.chatTemplate, {
    model: model.name,
    messages,
    addGenerationPrompt: answer === 'new-message',
    bosToken: pieceOf(model.bosTokenId),
    eosToken: pieceOf(model.eosTokenIds[0]),
    tools: options.tools,
    variables: options.variables,
  });
  return answer === 'last-message' ? upToEndOf(messages.at(-1), text) : text;
}

/** As transformers' `continue_final_message`: what the template puts behind the last message is cut off. */
function upToEndOf(message: ChatMessage | undefined, text: string): string {
  const content = typeof message?.content === 'string' ? message.content : '';
  const kept = content.trim();
  const at = kept === '' ? -1 : text.lastIndexOf(kept);
  if (at === -1) {
    throw new AppError('invalid_field', 'messages: the last one has no text that could be gone on with', {
      field: 'messages',
    });
  }
  // Spaces at its end are kept where the template keeps them.
  const whole = content.trimStart();
  return text.slice(0, at + (text.startsWith(whole, at) ? whole : kept).length);
}

interface Turns {
  readonly head: readonly ChatMessage[];
  readonly turns: readonly (readonly ChatMessage[])[];
}

function splitTurns(messages: readonly ChatMessage[]): Turns {
  const first = messages.findIndex(({ role }) => role !== 'system' && role !== 'developer');
  const begin = first === -1 ? messages.length : first;
  const turns: ChatMessage[][] = [];
  for (const message of messages.slice(begin)) {
    if (message.role === 'user' || turns.length === 0) turns.push([message]);
    else turns.at(-1)?.push(message);
  }
  return { head: messages.slice(0, begin), turns };
}
