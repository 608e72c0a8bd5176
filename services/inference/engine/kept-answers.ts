/**
 * Answers that the next prompt of their conversation will repeat. What decoding has left of them in a slot is not what a prompt would
 * leave there (see prefix-cache.ts), so that they are computed once more as one when the engine has nothing else to do. Decides which;
 * runs nothing.
 */
import { commonPrefix, type SlotContents } from './prefix-cache.ts';

interface KeptAnswer {
  /** Prompt, answer and what ended it. */
  readonly tokens: readonly number[];
  readonly promptLength: number;
}

export class KeptAnswers {
  readonly #most: number;
  /** Oldest first. */
  #answers: KeptAnswer[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  add(answer: KeptAnswer): void {
    this.#answers = [...this.#answers, answer].slice(-this.#most);
  }

  /** The newest whose prompt a slot still holds; it is not given again, nor are those that no slot holds. */
  take(slots: readonly SlotContents[]): readonly number[] | undefined {
    for (let answer = this.#answers.pop(); answer; answer = this.#answers.pop()) {
      const { tokens, promptLength } = answer;
      const most = Math.min(promptLength, tokens.length - 2);
      const held = slots.map((slot) => Math.min(slot.shareable, commonPrefix(slot.tokens, tokens)));
      const longest = Math.max(...held);
      if (longest >= most && longest < tokens.length) return tokens;
    }
    return undefined;
  }
}
