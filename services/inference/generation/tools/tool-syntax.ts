/**
 * How the families of models write a call of a tool, and which of them a model belongs to: told from its chat template, because that
 * is what it was trained on, and never from its name. Pure. Knows no parser and no grammar.
 */
import type { Tokenizer } from '@slipway/shared/text/contract.ts';

export interface ToolSyntax {
  /** What says that a call follows. */
  readonly marker: string | null;
  /** A call is one also without a marker, when the answer begins with it. */
  readonly isBare: boolean;
  /** Calls stand in a JSON array. */
  readonly isList: boolean;
  /** The property that holds the arguments. */
  readonly argumentsName: 'arguments' | 'parameters';
  /** What stands between two calls. */
  readonly separator: string;
  /** What ends a call. */
  readonly closing: string | null;
}

/** Nous Hermes, Qwen and most others. */
export const HERMES: ToolSyntax = {
  marker: '<tool_call>',
  isBare: false,
  isList: false,
  argumentsName: 'arguments',
  separator: '\n',
  closing: '</tool_call>',
};

/** One call in an answer is what its templates take; models write several all the same. */
export const LLAMA: ToolSyntax = {
  marker: '<|python_tag|>',
  isBare: true,
  isList: false,
  argumentsName: 'parameters',
  separator: ';',
  closing: null,
};

export const MISTRAL: ToolSyntax = {
  marker: '[TOOL_CALLS]',
  isBare: false,
  isList: true,
  argumentsName: 'arguments',
  separator: ',',
  closing: null,
};

/** For models that were never shown a tool: a call can be asked for all the same. */
export const PLAIN: ToolSyntax = { ...LLAMA, marker: null, argumentsName: 'arguments' };

/** Undefined when the template shows none that is read here. */
export function toolSyntaxOf(chatTemplate: string): ToolSyntax | undefined {
  const has = (text: string) => chatTemplate.includes(text);
  // Those of the same marker with something else than JSON behind it: Qwen3-Coder, GLM.
  if (has('<tool_call>')) return has('<function=') || has('<arg_key>') ? undefined : HERMES;
  // Newer ones write [TOOL_CALLS]name[ARGS]{...}.
  if (has('[TOOL_CALLS]')) return has('[ARGS]') ? undefined : MISTRAL;
  if (has('<|python_tag|>') || (has('ipython') && has('"parameters"'))) return LLAMA;
  return undefined;
}

/** The ids of special tokens that mark a call, and so must be read although they are no text. */
export function markerTokens({ marker }: ToolSyntax, tokenizer: Tokenizer): ReadonlySet<number> {
  if (marker === null) return new Set();
  const [token, ...others] = tokenizer.encode(marker, { addBos: false, parseSpecial: true });
  const isSpecial = token !== undefined && others.length === 0 && tokenizer.bytesOf(token).length === 0;
  return new Set(isSpecial ? [token] : []);
}
