/**
 * A conversation as plain data, and the pure steps that change it. Each turn has one prompt and an answer per lane: two models side by
 * side are two lanes. Knows nothing of how answers come.
 */
import * as z from 'zod/mini';
import type { AnswerPiece, Message, Question } from '../api/answer.ts';
import { Problem } from '../api/service-error.ts';
import { Token } from '../api/token.ts';

export const Answer = z.object({
  model: z.string(),
  mode: z.enum(['chat', 'completion']),
  text: z.string(),
  tokens: z.array(Token),
  state: z.enum(['waiting', 'streaming', 'done', 'stopped', 'failed']),
  /** `length`, `stop` ...; null when it did not get to its end. */
  finishReason: z.nullable(z.string()),
  problem: z.nullable(Problem),
  /** As this page saw it, the way to the service included. */
  firstTokenMs: z.nullable(z.number()),
  tokensPerSecond: z.nullable(z.number()),
  completionTokens: z.number(),
});
export type Answer = z.infer<typeof Answer>;
export type Mode = Answer['mode'];

export const Turn = z.object({ id: z.string(), prompt: z.string(), answers: z.array(z.nullable(Answer)) });
export type Turn = z.infer<typeof Turn>;

export type Turns = readonly Turn[];

export function isRunning(answer: Answer | null | undefined): boolean {
  return answer?.state === 'waiting' || answer?.state === 'streaming';
}

export function emptyAnswer(model: string, mode: Mode): Answer {
  return {
    model,
    mode,
    text: '',
    tokens: [],
    state: 'waiting',
    finishReason: null,
    problem: null,
    firstTokenMs: null,
    tokensPerSecond: null,
    completionTokens: 0,
  };
}

export function withAnswer(
  turns: Turns,
  turnId: string,
  lane: number,
  change: (answer: Answer | null) => Answer,
): Turns {
  return turns.map((turn) => {
    if (turn.id !== turnId) return turn;
    const answers = Array.from(
      { length: Math.max(turn.answers.length, lane + 1) },
      (_, at) => turn.answers[at] ?? null,
    );
    answers[lane] = change(answers[lane] ?? null);
    return { ...turn, answers };
  });
}

/** `now`, `began` and `first` (of the first token) in milliseconds of one clock. */
export function extended(
  answer: Answer,
  pieces: readonly AnswerPiece[],
  clock: { began: number; first: number | null; last: number },
): Answer {
  const tokens = [...answer.tokens, ...pieces.flatMap((piece) => piece.tokens)];
  const told = pieces.findLast((piece) => piece.completionTokens !== null)?.completionTokens;
  const completionTokens = told ?? Math.max(answer.completionTokens, tokens.length);
  const { began, first, last } = clock;
  return {
    ...answer,
    text: answer.text + pieces.map((piece) => piece.text).join(''),
    tokens,
    state: 'streaming',
    finishReason: pieces.findLast((piece) => piece.finishReason !== null)?.finishReason ?? answer.finishReason,
    firstTokenMs: first === null ? null : first - began,
    tokensPerSecond:
      first === null || completionTokens < 2 || last <= first ? null : ((completionTokens - 1) / (last - first)) * 1000,
    completionTokens,
  };
}

/** What the model is asked for the turn at `index`: its lane's own history, and the other lane's where it has none. */
export function questionFor(turns: Turns, index: number, lane: number, mode: Mode, systemPrompt: string): Question {
  const prompt = turns[index]?.prompt ?? '';
  if (mode === 'completion') return { mode, prompt };
  const before = turns.slice(0, index).flatMap((turn): Message[] => {
    const answer = [turn.answers[lane], ...turn.answers].find((one) => one?.mode === 'chat' && one.text !== '');
    return answer == null
      ? []
      : [
          { role: 'user', content: turn.prompt },
          { role: 'assistant', content: answer.text },
        ];
  });
  const system: Message[] = systemPrompt.trim() === '' ? [] : [{ role: 'system', content: systemPrompt }];
  return { mode, messages: [...system, ...before, { role: 'user', content: prompt }] };
}

/** After a reload nothing runs any more. */
export function interrupted(turns: Turns): Turns {
  return turns.map((turn) => ({
    ...turn,
    answers: turn.answers.map((answer) =>
      answer !== null && isRunning(answer) ? { ...answer, state: 'stopped' as const } : answer,
    ),
  }));
}
