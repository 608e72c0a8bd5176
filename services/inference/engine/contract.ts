/**
 * The engine's words: what a sequence asks for, what comes back, and what a layout must be able to do.
 * Token ids only: no text, no JSON, no HTTP. Everything here is plain data, so that it can cross a process border.
 */
import type { LayoutKind } from '../runtime/layout.ts';
import type { TokenTable } from './constraint/token-table.ts';
import type { TextGrammar } from './constraint/worker-protocol.ts';

export { MOST_LIMITS, markBefore, markInside, type StringLimits } from './constraint/marks.ts';
export type { TextGrammar, TokenTable };

/** How the next token is chosen. `temperature` 0 is greedy and ignores top-k, top-p and min-p. */
export interface Sampling {
  readonly temperature: number;
  /** 0 turns it off. */
  readonly topK: number;
  /** 1 turns it off. */
  readonly topP: number;
  /** 0 turns it off. */
  readonly minP: number;
  /** 1 turns it off; divides positive and multiplies negative logits of every token already in the sequence. */
  readonly repetitionPenalty: number;
  /** Subtracted from the logit of every token generated so far: once, and once for each time. Absent: 0. */
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  /** Added to the logits of tokens. */
  readonly bias?: readonly { readonly token: number; readonly bias: number }[];
  /** Added to the logit of the last of `tokens` wherever the others stand before it; -Infinity forbids. */
  readonly sequenceBias?: readonly { readonly tokens: readonly number[]; readonly bias: number }[];
  /** Once one of the markers has been generated, ending gains `penalty` over going on, and once more with every token. */
  readonly postStop?: { readonly markers: readonly (readonly number[])[]; readonly penalty: number };
  /** Seeds this sequence's own generator: the same request with the same seed gives the same tokens in any batch. */
  readonly seed: number;
}

export interface SequenceRequest {
  readonly id: string;
  /** Never empty, every id below the vocabulary size. */
  readonly prompt: readonly number[];
  /** 0 only together with `promptLogprobs`. */
  readonly maxNewTokens: number;
  /** Before so many tokens nothing ends the sequence. Absent: 0. */
  readonly minNewTokens?: number;
  /** Generating one of these ends the sequence with reason `eos`; the id itself is not emitted. Empty: never. */
  readonly eosTokenIds: readonly number[];
  /** The same with reason `stop`. */
  readonly stopTokenIds?: readonly number[];
  readonly sampling: Sampling;
  /** Undefined: none. 0..20: the chosen token's log probability and that many best alternatives. */
  readonly logprobs?: number;
  /** The same of the prompt's own tokens. Undefined: none. */
  readonly promptLogprobs?: number;
  /** What the generated text must be. */
  readonly constraint?: Constraint;
  /** Another prompt is expected to begin with this one and its answer, so that it is worth keeping both. */
  readonly goesOn?: boolean;
  /** As steadyNow() has it: after which the sequence ends with reason `timeout`, wherever it is. */
  readonly deadline: number;
}

/** The form of a text, and what the ids stand for: the same object in every request of an engine, so that it is sent to its process once. */
export interface Constraint {
  readonly grammar: TextGrammar;
  readonly tokens: TokenTable;
}

/** `rejected`: the request asks for what cannot be, and `error` says why. */
export type FinishReason = 'eos' | 'stop' | 'length' | 'cancelled' | 'timeout' | 'rejected' | 'failed';

export interface TokenLogprobs {
  readonly logprob: number;
  /** Best first. Log probabilities of the model's own distribution (before temperature and filters). */
  readonly top: readonly { readonly token: number; readonly logprob: number }[];
}

export type EngineEvent =
  /** It has a slot; `cachedTokens` of the prompt were already computed for another sequence. */
  | { readonly type: 'started'; readonly cachedTokens: number }
  /** Of the prompt's next tokens, when asked for; null is the first, which nothing precedes. */
  | { readonly type: 'prompt'; readonly logprobs: readonly (TokenLogprobs | null)[] }
  | { readonly type: 'token'; readonly token: number; readonly logprobs?: TokenLogprobs }
  /** The one terminal event. `error` is set when the reason is `rejected` or `failed`. */
  | { readonly type: 'finished'; readonly reason: FinishReason; readonly error?: string };

export interface EngineInfo {
  readonly layout: LayoutKind;
  readonly vocabularySize: number;
  /** Prompt and generated tokens of one sequence together. */
  readonly contextLength: number;
  readonly slots: number;
  readonly threads: number;
  readonly device: 'cpu';
  /** For example `onnxruntime 1.30.0`; part of what decides the bytes of an answer. */
  readonly runtime: string;
}

export interface EngineStats {
  readonly running: number;
  readonly waiting: number;
  /** 0..1: cache positions in use. */
  readonly cacheUsage: number;
  readonly steps: number;
  /** How many steps computed at most STEP_TOKEN_BOUNDS[i] tokens and more than the bound before (the last: all others); all their tokens. */
  readonly stepTokens: { readonly counts: readonly number[]; readonly sum: number };
  /** Steps in which guesses were checked. */
  readonly drafts: number;
  /** Tokens that were guessed and computed along with those before them, and how many of these guesses were right. */
  readonly guessed: number;
  readonly accepted: number;
  /** How many first, second ... guesses of a draft were right. */
  readonly acceptedAt: readonly number[];
}

/** One loaded model. Every submitted sequence gets exactly one `finished` event, whatever happens to the engine. */
export interface Engine {
  readonly info: EngineInfo;
  submit(request: SequenceRequest, onEvent: (event: EngineEvent) => void): void;
  /** Ends the sequence with reason `cancelled` within one step, also inside a long prefill. Unknown ids are ignored. */
  cancel(id: string): void;
  stats(): EngineStats;
  /** Fails what is pending and gives all memory back. */
  close(): Promise<void>;
}
