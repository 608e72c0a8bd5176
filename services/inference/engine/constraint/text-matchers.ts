/**
 * Grammars compiled for one vocabulary, the newest kept for the next text of their form, and a matcher for each text.
 */
import type { CompiledGrammar, GrammarCompiler } from '@mlc-ai/web-xgrammar';
import { LimitedStrings, type MeasuredTokens, measureTokens } from './limited-strings.ts';
import type { GrammarLibrary } from './load-xgrammar.ts';
import { MOST_LIMITS, markBefore, markInside } from './marks.ts';
import { TextMatcher } from './text-matcher.ts';
import { type TokenTable, tokenBytes } from './token-table.ts';
import { KEPT_GRAMMARS, type TextGrammar } from './worker-protocol.ts';

export class TextMatchers {
  readonly #library: GrammarLibrary;
  readonly #compiler: GrammarCompiler;
  readonly #tokens: TokenTable;
  readonly #compiled = new Map<string, CompiledGrammar>();
  #measured: MeasuredTokens | undefined;

  private constructor(library: GrammarLibrary, compiler: GrammarCompiler, tokens: TokenTable) {
    this.#library = library;
    this.#compiler = compiler;
    this.#tokens = tokens;
  }

  static async create(library: GrammarLibrary, tokens: TokenTable): Promise<TextMatchers> {
    const count = tokens.ends.length;
    const vocabulary = Array.from({ length: count }, (_, token) => tokenBytes(tokens, token));
    const end = new Uint8Array();
    const marks = [markBefore, markInside].flatMap((mark) => Array.from({ length: MOST_LIMITS }, (_, i) => mark(i)));
    // The library's own conversion takes bytes as well as strings.
    const pieces = [...vocabulary, end, ...marks] as unknown as string[];
    const info = await library.TokenizerInfo.createTokenizerInfo(pieces, 'raw', false, pieces.length, [count]);
    return new TextMatchers(library, await library.GrammarCompiler.createGrammarCompiler(info, false), tokens);
  }

  async open({ ebnf, limits }: TextGrammar): Promise<TextMatcher> {
    const matcher = await this.#library.GrammarMatcher.createGrammarMatcher(await this.#compile(ebnf));
    if (limits.length > 0) this.#measured ??= measureTokens(this.#tokens);
    const strings = this.#measured && limits.length > 0 ? new LimitedStrings(this.#measured, limits) : undefined;
    return new TextMatcher(matcher, strings, this.#tokens.ends.length);
  }

  async #compile(ebnf: string): Promise<CompiledGrammar> {
    const known = this.#compiled.get(ebnf);
    if (known) {
      this.#compiled.delete(ebnf);
      this.#compiled.set(ebnf, known);
      return known;
    }
    const grammar = await this.#library.Grammar.fromEBNF(ebnf);
    const made = await this.#compiler.compileGrammar(grammar);
    grammar.dispose();
    this.#compiled.set(ebnf, made);
    for (const [oldest, grammarOfOldest] of this.#compiled) {
      if (this.#compiled.size <= KEPT_GRAMMARS) break;
      this.#compiled.delete(oldest);
      grammarOfOldest.dispose();
    }
    return made;
  }
}
