/**
 * What a session's document says: the instructions, and turns that are kept or forgotten whole. Pure.
 */
import { type ChatTurnMessage, chatMessage } from '@slipway/shared/contracts/chat.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { z } from 'zod';

const conversation = z.strictObject({
  /** Hold for the whole conversation. */
  system: z.array(chatMessage),
  /** Each what was sent at once, and the answer to it. */
  turns: z.array(z.array(chatMessage)),
  /** Messages that had to go. */
  forgotten: z.number().int(),
});
export type Conversation = z.infer<typeof conversation>;

export const EMPTY_CONVERSATION: Conversation = { system: [], turns: [], forgotten: 0 };

/** Several times what any context holds. */
const MOST_CHARACTERS = 256 * 1024;

export function parseConversation(document: string): Conversation {
  return conversation.parse(JSON.parse(document));
}

export function messagesOf({ system, turns }: Conversation): readonly ChatTurnMessage[] {
  return [...system, ...turns.flat()];
}

/** With a turn that waits for its answer. Instructions at its beginning take the place of those before. AppError invalid_field. */
export function withMessages(before: Conversation, sent: readonly ChatTurnMessage[]): Conversation {
  const first = sent.findIndex(({ role }) => role !== 'system');
  const turn = sent.slice(first);
  const system = first === 0 ? before.system : sent.slice(0, first);
  const characters = charactersOf(system) + charactersOf(turn);
  if (characters > MOST_CHARACTERS / 2) {
    throw new AppError(
      'invalid_field',
      `messages have ${characters} characters, and with a session_id may have ${MOST_CHARACTERS / 2}`,
    );
  }
  return { ...before, system, turns: [...before.turns, turn] };
}

/** Its last turn answered; the oldest turns are forgotten where it would be too large. */
export function withAnswer(asked: Conversation, answer: string): Conversation {
  const last = [...(asked.turns.at(-1) ?? []), { role: 'assistant' as const, content: answer }];
  const turns = [...asked.turns.slice(0, -1), last];
  let excess = charactersOf(asked.system) + charactersOf(turns.flat()) - MOST_CHARACTERS;
  let count = 0;
  for (const turn of turns.slice(0, -1)) {
    if (excess <= 0) break;
    excess -= charactersOf(turn);
    count++;
  }
  return {
    system: asked.system,
    turns: turns.slice(count),
    forgotten: asked.forgotten + turns.slice(0, count).flat().length,
  };
}

function charactersOf(messages: readonly ChatTurnMessage[]): number {
  return messages.reduce((sum, { content }) => sum + content.length, 0);
}
