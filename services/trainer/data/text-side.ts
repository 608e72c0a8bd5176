/**
 * What preparing needs of a model: its tokenizer, its chat template or a named one, and the tokens that end a turn. Renders and encodes as
 * the server does. Knows no weights.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { renderChat } from '@slipway/shared/text/chat-template.ts';
import type { Tokenizer } from '@slipway/shared/text/contract.ts';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import type { Conversation, Message } from './canonical.ts';
import { findTemplate, type TemplateName } from './templates/find-template.ts';
import { type FindUnknown, unknownFinder } from './unknown-characters.ts';

/** As a checkpoint's reader gives it. */
export interface ModelText {
  /** tokenizer.json and tokenizer_config.json, parsed. */
  readonly tokenizerJson: unknown;
  readonly tokenizerConfig: unknown;
  /** Jinja source. */
  readonly chatTemplate: string | null;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  /** Whether the server puts BOS in front of a text. */
  readonly addBos: boolean;
}

export interface TextSide {
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: string | null;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  readonly addBos: boolean;
  /** Each ends an answer: the model's own, and a named template's end of turn. */
  readonly stopIds: readonly number[];
  readonly findUnknown: FindUnknown;
}

/** Templates that write the date would make other bytes of the same data every day; they fall back to this day themselves. */
const RENDERED_AT = new Date('2024-07-26T00:00:00Z');

/** AppError when the tokenizer is broken, or lacks what the template needs. */
export function openTextSide(text: ModelText, template: TemplateName): TextSide {
  const tokenizer = loadTokenizer(text.tokenizerJson, text.tokenizerConfig);
  const { bosTokenId, eosTokenIds, addBos } = text;
  const { source, stopIds } = findTemplate(template, { ...text, tokenizer });
  return {
    tokenizer,
    chatTemplate: source,
    bosTokenId,
    eosTokenIds,
    addBos,
    stopIds: [...new Set([...eosTokenIds, ...stopIds])],
    findUnknown: unknownFinder(tokenizer),
  };
}

/** The text of a conversation's first `count` messages; with `isPrompt` it ends where the assistant's answer begins. */
export function renderConversation(
  side: TextSide,
  { messages, tools }: Conversation,
  count: number,
  isPrompt: boolean,
): string {
  if (side.chatTemplate === null) {
    throw new AppError(
      'invalid_field',
      'the model has no chat template, so that nothing says how a conversation is written: set data.template to chatml, alpaca, llama2, llama3 or phi',
    );
  }
  requireTools(side.chatTemplate, messages, tools);
  const pieceOf = (token: number | null | undefined) => (token == null ? null : side.tokenizer.pieceOf(token));
  const { chatTemplate } = side;
  return renderChat(chatTemplate, {
    model: 'the model',
    messages: messages.slice(0, count).map((message) => forTemplate(message, chatTemplate)),
    addGenerationPrompt: isPrompt,
    bosToken: pieceOf(side.bosTokenId),
    eosToken: pieceOf(side.eosTokenIds[0]),
    tools,
    now: RENDERED_AT,
  });
}

/** OpenAI's newer name for a system message is known to few templates (the server does the same), and so is reasoning apart from the answer. */
function forTemplate(message: Message, template: string): Readonly<Record<string, unknown>> {
  if (message.role === 'developer' && !template.includes('developer')) return { ...message, role: 'system' };
  const { reasoning_content: reasoning, ...rest } = message;
  if (reasoning === undefined || template.includes('reasoning_content')) return { content: '', ...message };
  return { ...rest, content: `<think>\n${reasoning}\n</think>\n\n${message.content ?? ''}` };
}

/** A template that knows no tools would leave them out without a word. */
function requireTools(template: string, messages: readonly Message[], tools: Conversation['tools']): void {
  const hasCalls = messages.some(
    (message) => message.role === 'tool' || ('tool_calls' in message && message.tool_calls?.length),
  );
  if ((!hasCalls || /tool_calls|'tool'|"tool"/.test(template)) && (tools === undefined || template.includes('tools')))
    return;
  throw new AppError('invalid_field', 'messages: they use tools, which the template does not write', {
    field: 'messages',
  });
}

/** As the server encodes a rendered conversation: the template has written every special token itself. */
export function encodeRendered(side: TextSide, text: string): number[] {
  return side.tokenizer.encode(text, { addBos: false, parseSpecial: true });
}

/** As the server encodes a prompt: special tokens written in it are text. */
export function encodePlain(side: TextSide, text: string, isBeginning: boolean): number[] {
  const ids = side.tokenizer.encode(text, { addBos: false, parseSpecial: false });
  const bos = isBeginning && side.addBos ? side.bosTokenId : null;
  return bos === null ? ids : [bos, ...ids];
}
