/**
 * An example as token ids and a mask of those that are trained. Which they are is defined by what the server does: what it would be given
 * as a prompt is not trained, what it would have to answer up to its first stop token is. Pure.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Completion, Conversation, Example, Passage } from '../canonical.ts';
import { encodePlain, encodeRendered, renderConversation, type TextSide } from '../text-side.ts';

export interface EncodedExample {
  /** What of the example these are the ids of: a turn of a conversation may be an example of its own. */
  readonly example: Example;
  readonly ids: readonly number[];
  /** 1 per trained token; null: all are. */
  readonly mask: Uint8Array | null;
  /** An answer in it has no stop token: the model would not learn to end it. */
  readonly isEndless: boolean;
}

export interface EncodeOutcome {
  readonly encoded: readonly EncodedExample[];
  /** Why a turn, or all of it, cannot be trained. */
  readonly rejected: readonly string[];
}

export function encodeExample(example: Example, side: TextSide): EncodeOutcome {
  if ('text' in example) return { encoded: [encodePassage(example, side)], rejected: [] };
  if ('prompt' in example) return { encoded: [encodeCompletion(example, side)], rejected: [] };
  try {
    return encodeConversation(example, side);
  } catch (error) {
    // The template refuses these messages; a template that cannot be parsed is nobody's example.
    if (error instanceof AppError && error.code === 'invalid_field' && error.field === 'messages') {
      return { encoded: [], rejected: [error.message] };
    }
    throw error;
  }
}

function encodePassage(example: Passage, side: TextSide): EncodedExample {
  const ids = encodePlain(side, example.text, example.begins !== false);
  const [eos] = side.eosTokenIds;
  if (example.continued !== true && eos !== undefined) ids.push(eos);
  return { example, ids, mask: null, isEndless: false };
}

function encodeCompletion(example: Completion, side: TextSide): EncodedExample {
  const prompt = encodePlain(side, example.prompt, true);
  const whole = encodePlain(side, example.prompt + example.completion, true);
  const ids = isPrefix(prompt, whole) ? whole : [...prompt, ...encodePlain(side, example.completion, false)];
  const [eos] = side.eosTokenIds;
  if (eos !== undefined) ids.push(eos);
  const mask = new Uint8Array(ids.length).fill(1, prompt.length);
  return { example, ids, mask, isEndless: eos === undefined };
}

function encodeConversation(conversation: Conversation, side: TextSide): EncodeOutcome {
  const { messages } = conversation;
  const turns =
    conversation.trained_turns ?? messages.flatMap(({ role }, index) => (role === 'assistant' ? index : []));
  const encode = (count: number, isPrompt: boolean) =>
    encodeRendered(side, renderConversation(side, conversation, count, isPrompt));
  const whole = encode(messages.length, false);
  const mask = new Uint8Array(whole.length);
  const inWhole: number[] = [];
  let isEndless = false;
  const alone: EncodedExample[] = [];
  const rejected: string[] = [];

  for (const turn of turns) {
    const prompt = encode(turn, true);
    // As if the conversation ended here: what the server would have produced.
    const through = turn === messages.length - 1 ? whole : encode(turn + 1, false);
    if (!isPrefix(prompt, through)) {
      rejected.push(
        `messages[${turn}]: the template writes something else before the answer than it gives the model to answer, so that it cannot be learnt`,
      );
      continue;
    }
    const { end, hasStop } = trainedEnd(through, prompt.length, side.stopIds);
    if (end === prompt.length) {
      rejected.push(`messages[${turn}]: the template leaves nothing of the answer to train on`);
    } else if (isPrefix(through.slice(0, end), whole)) {
      mask.fill(1, prompt.length, end);
      inWhole.push(turn);
      isEndless ||= !hasStop;
    } else {
      alone.push({
        example: { ...conversation, messages: messages.slice(0, turn + 1), trained_turns: [turn] },
        ids: through,
        mask: new Uint8Array(through.length).fill(1, prompt.length, end),
        isEndless: !hasStop,
      });
    }
  }
  const { trained_turns: _, ...rest } = conversation;
  const example = inWhole.length === assistantTurns(conversation) ? rest : { ...rest, trained_turns: inWhole };
  const encoded = inWhole.length === 0 ? alone : [...alone, { example, ids: whole, mask, isEndless }];
  return { encoded, rejected };
}

function assistantTurns({ messages }: Conversation): number {
  return messages.filter(({ role }) => role === 'assistant').length;
}

/** Just behind the first stop token from `start` on, or at the end of the turn where there is none. */
function trainedEnd(ids: readonly number[], start: number, stopIds: readonly number[]) {
  for (let at = start; at < ids.length; at++) {
    if (stopIds.includes(ids[at] as number)) return { end: at + 1, hasStop: true };
  }
  return { end: ids.length, hasStop: false };
}

function isPrefix(prefix: readonly number[], ids: readonly number[]): boolean {
  return prefix.length <= ids.length && prefix.every((id, index) => ids[index] === id);
}
