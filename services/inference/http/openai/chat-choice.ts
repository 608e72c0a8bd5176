/**
 * One choice of a chat's answer, told in OpenAI's words: its text as deltas while it comes, or as a whole message, with the calls of
 * tools that are in it.
 */
import { randomUUID } from 'node:crypto';
import type { GenerateFinishReason } from '@slipway/shared/contracts/generate.ts';
import type {
  ChatDelta,
  ChatFinishReason,
  ChatMessageAnswer,
  ToolCallAnswer,
} from '@slipway/shared/contracts/openai/chat.ts';
import { ToolCallParser, type ToolEvent } from '../../generation/tools/tool-call-parser.ts';
import { finishReasonOf } from './finish-reason.ts';
import type { CallReading } from './tool-plan.ts';

/** Letters and digits: Mistral's templates take ids of just so many, and other families any. */
const ID_LENGTH = 9;

export class ChatChoiceWriter {
  readonly #parser: ToolCallParser | undefined;
  #calls = 0;

  /** `reading`: undefined where everything is text. */
  constructor(reading: CallReading | undefined) {
    this.#parser = reading === undefined ? undefined : new ToolCallParser({ ...reading, holds: false });
  }

  /** As OpenAI's: no text yet, or none at all when there are only calls. */
  get beginning(): ChatDelta {
    return { role: 'assistant', content: this.#parser === undefined ? '' : null };
  }

  add(text: string): ChatDelta[] {
    if (this.#parser === undefined) return text === '' ? [] : [{ content: text }];
    return this.#parser.push(text).map((event) => this.#deltaOf(event));
  }

  /** What was still held back. */
  end(): ChatDelta[] {
    return (this.#parser?.end() ?? []).map((event) => this.#deltaOf(event));
  }

  finishReason(reason: GenerateFinishReason | null): ChatFinishReason | null {
    return chatFinishReason(reason, this.#parser);
  }

  #deltaOf(event: ToolEvent): ChatDelta {
    if (event.type === 'content') return { content: event.text };
    if (event.type === 'arguments') {
      return { tool_calls: [{ index: this.#calls - 1, function: { arguments: event.text } }] };
    }
    const index = this.#calls++;
    return {
      tool_calls: [{ index, id: newCallId(), type: 'function', function: { name: event.name, arguments: '' } }],
    };
  }
}

export function wholeMessage(
  text: string,
  reason: GenerateFinishReason | null,
  reading: CallReading | undefined,
): { readonly message: ChatMessageAnswer; readonly finish_reason: ChatFinishReason } {
  const message = { role: 'assistant', refusal: null } as const;
  // Of an answer that is calls and nothing else, also what was cut is one.
  const parser = reading === undefined ? undefined : new ToolCallParser({ ...reading, holds: !reading.isForced });
  const finish_reason = () => chatFinishReason(reason, parser) ?? 'stop';
  if (parser === undefined) return { message: { ...message, content: text }, finish_reason: finish_reason() };
  let content = '';
  const calls: ToolCallAnswer[] = [];
  for (const event of [...parser.push(text), ...parser.end()]) {
    const call = calls.at(-1);
    if (event.type === 'content') content += event.text;
    else if (event.type === 'call') {
      calls.push({ id: newCallId(), type: 'function', function: { name: event.name, arguments: '' } });
    } else if (call !== undefined) call.function.arguments += event.text;
  }
  return {
    message: {
      ...message,
      content: content === '' && calls.length > 0 ? null : content,
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
    },
    finish_reason: finish_reason(),
  };
}

function chatFinishReason(
  reason: GenerateFinishReason | null,
  parser: ToolCallParser | undefined,
): ChatFinishReason | null {
  const told = finishReasonOf(reason);
  return told === 'stop' && parser !== undefined && parser.wholeCalls > 0 ? 'tool_calls' : told;
}

function newCallId(): string {
  return randomUUID().replaceAll('-', '').slice(0, ID_LENGTH);
}
