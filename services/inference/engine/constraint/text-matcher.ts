/**
 * One text and what may come next in it: the library's matcher for its grammar, the limits of its strings, guesses that are looked at and
 * taken back. Runs in the thread that follows grammars.
 */
import type { GrammarMatcher } from '@mlc-ai/web-xgrammar';
import type { LimitedStrings } from './limited-strings.ts';
import { MOST_LIMITS } from './marks.ts';
import type { TokenMask } from './mask.ts';

export class TextMatcher {
  readonly #grammar: GrammarMatcher;
  readonly #strings: LimitedStrings | undefined;
  readonly #textTokens: number;
  /** Of the place where it stands. */
  #mask: TokenMask | undefined;

  /** The vocabulary has the model's tokens, then the end, then the marks before strings, then those inside. */
  constructor(grammar: GrammarMatcher, limits: LimitedStrings | undefined, textTokens: number) {
    this.#grammar = grammar;
    this.#strings = limits;
    this.#textTokens = textTokens;
  }

  async accept(token: number): Promise<void> {
    if (this.#strings) {
      await this.mask();
      this.#strings.accept(token);
    }
    if (!this.#grammar.acceptToken(token)) throw new Error(`token ${token} was not allowed here`);
    this.#mask = undefined;
  }

  async mask(): Promise<TokenMask> {
    this.#mask ??= await this.#compute();
    return this.#mask;
  }

  /** The masks here and after each of `guesses` in turn, up to the first that may not come. */
  async look(guesses: readonly number[]): Promise<TokenMask[]> {
    const first = await this.mask();
    const place = this.#strings?.place;
    const masks = [first];
    for (const guess of guesses) {
      const { words } = masks.at(-1) ?? first;
      if (!hasBit(words, guess)) break;
      await this.accept(guess);
      masks.push(await this.mask());
    }
    if (masks.length > 1) this.#grammar.rollBack(masks.length - 1);
    if (this.#strings && place) this.#strings.place = place;
    this.#mask = first;
    return masks;
  }

  close(): void {
    this.#grammar.dispose();
  }

  async #compute(): Promise<TokenMask> {
    const all = await this.#grammar.getNextTokenBitmask();
    const end = this.#textTokens;
    const words = all.slice(0, Math.ceil(end / 32));
    if (end % 32 !== 0) words[words.length - 1] = (words.at(-1) ?? 0) & ((1 << (end % 32)) - 1);
    if (this.#strings) {
      const marks = (from: number) =>
        Array.from({ length: MOST_LIMITS }, (_, i) => i).filter((i) => hasBit(all, from + i));
      this.#strings.meet(marks(end + 1), marks(end + 1 + MOST_LIMITS));
      this.#strings.narrow(words);
    }
    return { words, mayEnd: hasBit(all, end), mayGoOn: words.some((word) => word !== 0) };
  }
}

function hasBit(words: Int32Array, index: number): boolean {
  return (((words[index >> 5] ?? 0) >>> (index & 31)) & 1) === 1;
}
