/**
 * What generation needs of a model: its text side, its engine and what names both. Knows nothing of where it came from.
 */
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';
import type { Tokenizer } from '@slipway/shared/text/contract.ts';
import type { Engine } from '../engine/contract.ts';

export interface LoadedModel {
  readonly name: string;
  /** Null for a model that no bucket knows (tests). */
  readonly manifest: Manifest | null;
  readonly tokenizer: Tokenizer;
  /** Jinja source, when the model has one. */
  readonly chatTemplate: string | null;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  readonly addBos: boolean;
  readonly engine: Engine;
  /** Of the engine's process: what it holds in memory now (null where the system does not say), how often it died and was started again. */
  engineProcess(): { readonly memoryBytes: number | null; readonly restarts: number };
  /** Resolves when the engine takes sequences: at once, unless its process has died and is being started again. */
  whenReady(signal: AbortSignal): Promise<void>;
  /** Undefined when the engine takes sequences; otherwise the reason, in words. */
  whyNotReady(): string | undefined;
  /** Names all that decides the bytes of an answer. */
  readonly fingerprint: string;
  /** The aliases that were seen to point at it: `latest`, `champion`. */
  aliases(): readonly string[];
  /** One more request will use it: until the function given is called it is not ended, even when another version has taken its place. */
  hold(): () => void;
}
