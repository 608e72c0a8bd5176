/**
 * Answers that are kept to be given again: off unless asked for, and only of requests that would get the same bytes anyway. Bounded in
 * bytes; what was not asked for longest goes first. Knows nothing of HTTP or of who asks.
 */
import { createHash } from 'node:crypto';
import type { GenerateAnswer, GenerateRequest } from '@slipway/shared/contracts/generate.ts';
import { LRUCache } from 'lru-cache';

/** One answer may take at most this share, so that a few long ones do not push out all others. */
const LARGEST_SHARE = 8;

const OWN_ENDS = new Set<string>(['eos', 'stop', 'length']);

export interface AskedAnswer {
  /** Callers do not see what others asked: a quick answer would tell it. */
  readonly caller: string;
  readonly model: string;
  /** Names all of a model that can change an answer. */
  readonly fingerprint: string;
  readonly request: GenerateRequest;
}

export class AnswerCache {
  /** As JSON in bytes: what an answer takes is then known, and a hit is nobody's object but the caller's. */
  readonly #answers: LRUCache<string, Buffer>;

  constructor(maxBytes: number) {
    const maxEntrySize = Math.ceil(maxBytes / LARGEST_SHARE);
    this.#answers = new LRUCache({ maxSize: maxBytes, maxEntrySize, sizeCalculation: sizeOf });
  }

  get bytes(): number {
    return this.#answers.calculatedSize;
  }

  /** Undefined where the same request need not get the same answer. Whether it is streamed makes no difference. */
  keyOf({ caller, model, fingerprint, request }: AskedAnswer): string | undefined {
    const { stream: _stream, model: _model, ...asked } = request;
    if (asked.temperature !== 0 && asked.seed === undefined) return undefined;
    // Fields come in the order in which they were parsed or translated; what is inside them keeps its order, which may mean something.
    const fields = Object.entries(asked)
      .filter(([, value]) => value !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return createHash('sha256')
      .update(JSON.stringify([caller, model, fingerprint, fields]))
      .digest('base64url');
  }

  get(key: string): GenerateAnswer | undefined {
    const kept = this.#answers.get(key);
    // Written below, and by nobody else.
    return kept === undefined ? undefined : (JSON.parse(kept.toString()) as GenerateAnswer);
  }

  /** Only what came to an end of its own is kept. */
  set(key: string, answer: GenerateAnswer): void {
    if (!answer.outputs.every(({ finish_reason }) => OWN_ENDS.has(finish_reason ?? ''))) return;
    this.#answers.set(key, Buffer.from(JSON.stringify(answer)));
  }
}

/** An entry of the map beside its key and value. */
const ENTRY_BYTES = 128;

function sizeOf(answer: Buffer, key: string): number {
  return answer.length + key.length + ENTRY_BYTES;
}
