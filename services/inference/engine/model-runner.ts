/**
 * Runs on the layout what was planned, a chunk of a prompt or a token of every decoding sequence, and hands each row of logits to its
 * sequence. Owns what a run in progress is, and counts runs. Knows no plan but the run it is given.
 */
import type { Layout } from '../runtime/layout.ts';
import { callAt } from './call-at.ts';
import { awaitMasks } from './constraint/await-masks.ts';
import type { TokenLogprobs } from './contract.ts';
import { guessLength, guessTokens, updateHitRate } from './draft.ts';
import { type PlannedRun, prefillCost } from './plan.ts';
import { describeToken, findBest } from './sampling.ts';
import type { Scheduler } from './scheduler.ts';
import type { Sequence } from './sequence.ts';
import { StepCounts } from './step-counts.ts';

type Run = PlannedRun<Sequence>;
type Prefill = Extract<Run, { readonly type: 'prefill' }>;
type Verify = NonNullable<Layout['verify']>;

export interface RunnerOptions {
  readonly speculate: boolean;
  readonly now: () => number;
}

export class ModelRunner {
  readonly counts = new StepCounts();
  readonly #layout: Layout;
  readonly #scheduler: Scheduler;
  readonly #now: () => number;
  readonly #verify: Verify | undefined;
  #prefilling: Sequence | undefined;
  #promptWork = 0;

  constructor(layout: Layout, scheduler: Scheduler, { speculate, now }: RunnerOptions) {
    this.#layout = layout;
    this.#scheduler = scheduler;
    this.#now = now;
    this.#verify = speculate ? layout.verify?.bind(layout) : undefined;
  }

  /** As planStep has it. */
  get promptWork(): number {
    return this.#promptWork;
  }

  /** Stops the prefill in progress, if there is one, and if it is this sequence's. */
  terminate(sequence = this.#prefilling): void {
    if (sequence && sequence === this.#prefilling) this.#layout.terminate();
  }

  /** Rejects as the layout does. */
  run(run: Exclude<Run, { readonly type: 'idle' }>): Promise<void> {
    if (run.type === 'prefill') return this.#prefill(run);
    const [first, ...others] = run.rows;
    if (this.#verify && first && others.length === 0) return this.#decodeGuessing(first, this.#verify);
    return this.#decode(run.rows);
  }

  async #prefill({ sequence, slot: index, start, end }: Prefill): Promise<void> {
    const slot = this.#scheduler.slotOf(sequence);
    const { prompt, guide, needsPromptLogits } = sequence;
    const chunk = prompt.slice(start, end);
    const isLast = end === prompt.length;
    this.counts.addStep(chunk.length);
    const stopWatching = callAt(sequence.deadline, this.#now, () => this.#layout.terminate());
    this.#prefilling = sequence;
    // Should the run be stopped, what it overwrote is not to be found again.
    slot.truncate(start);
    if (isLast) guide?.ask([]);
    let row: Float32Array | undefined;
    try {
      const wanted = needsPromptLogits ? 'all' : isLast ? 'last' : 'none';
      const logits = await this.#layout.prefill(index, chunk, start, wanted);
      slot.addPrompt(chunk, prompt.length > 1 && !this.#layout.onlyForward);
      if (needsPromptLogits) this.#describePrompt(sequence, logits, start, end);
      if (isLast) row = needsPromptLogits ? this.#rowOf(logits, chunk.length - 1) : logits;
    } finally {
      // Also when it was stopped: running streams have waited for it all the same.
      this.#promptWork += prefillCost(chunk.length);
      this.#prefilling = undefined;
      stopWatching();
    }
    if (!row) return;
    await awaitMasks([guide]);
    this.#scheduler.advance(sequence, row);
  }

  /** Row i is what the model expected after the prompt's token start + i. */
  #describePrompt(sequence: Sequence, logits: Float32Array, start: number, end: number): void {
    if (!sequence.goesOn) return;
    const { prompt, promptLogprobs = 0 } = sequence.request;
    const described: (TokenLogprobs | null)[] = start === 0 ? [null] : [];
    for (let at = start + 1; at <= Math.min(end, prompt.length - 1); at++) {
      const row = this.#rowOf(logits, at - 1 - start);
      if (findBest(row) < 0) {
        this.#scheduler.fail(
          sequence,
          new Error('the model computed logits that are not finite numbers (NaN or infinity)'),
        );
        return;
      }
      described.push(describeToken(row, prompt[at] ?? 0, promptLogprobs));
    }
    sequence.tell({ type: 'prompt', logprobs: described });
  }

  async #decode(rows: readonly (Sequence | undefined)[]): Promise<void> {
    const { slots } = this.#scheduler;
    const tokens: number[] = [];
    const lengths: number[] = [];
    for (const [index, sequence] of rows.entries()) {
      // A hole's row is written behind what its slot still holds.
      if (!sequence) slots[index]?.truncate(this.#layout.contextLength - 1);
      tokens.push(sequence?.lastToken ?? 0);
      lengths.push(slots[index]?.tokens.length ?? 0);
    }
    this.counts.addStep(rows.filter((sequence) => sequence !== undefined).length);
    for (const sequence of rows) sequence?.guide?.ask([]);
    const logits = await this.#layout.decode(tokens, lengths);
    this.#promptWork = 0;
    await awaitMasks(rows.map((sequence) => sequence?.guide));
    for (const [index, sequence] of rows.entries()) {
      if (!sequence) continue;
      this.#scheduler.slotOf(sequence).addDecoded(sequence.lastToken);
      this.#scheduler.advance(sequence, this.#rowOf(logits, index));
    }
  }

  /**
   * Decodes the sequence of slot 0, and checks guesses of what follows in the same run. Rows are sampled one after the other, each
   * as a step of its own would: up to the first token that is not the guessed one, behind which every row is of another text.
   */
  async #decodeGuessing(sequence: Sequence, verify: Verify): Promise<void> {
    const slot = this.#scheduler.slotOf(sequence);
    const checked = Math.min(guessLength(sequence.hitRate), sequence.remaining - 1);
    // Whether a guess would have been right can be seen without a row for it.
    const guess = guessTokens([...slot.tokens, sequence.lastToken], Math.max(checked, 1));
    const rows = [sequence.lastToken, ...guess.slice(0, checked)];
    const filled = slot.tokens.length;
    this.counts.addStep(rows.length);
    this.counts.addDraft(rows.length - 1);
    sequence.guide?.ask(rows.slice(1));
    const logits = await (rows.length > 1 ? verify(rows, filled) : this.#layout.decode(rows, [filled]));
    this.#promptWork = 0;
    await awaitMasks([sequence.guide]);
    const masks = sequence.guide?.masks;
    if (sequence.guide && !masks) {
      slot.addDecoded(sequence.lastToken);
      this.#scheduler.advance(sequence, this.#rowOf(logits, 0));
      return;
    }
    for (const [index, token] of rows.entries()) {
      // Fewer when the step before this one was repeated with other guesses.
      if (masks && !masks[index]) return;
      slot.addDecoded(token);
      this.#scheduler.advanceMasked(sequence, this.#rowOf(logits, index), masks?.[index]);
      const guessedToken = guess[index];
      if (!sequence.goesOn || guessedToken === undefined) return;
      const isRight = sequence.lastToken === guessedToken;
      sequence.hitRate = updateHitRate(sequence.hitRate, isRight);
      if (!isRight) return;
      if (index + 1 < rows.length) this.counts.addAccepted(index);
    }
  }

  #rowOf(logits: Float32Array, index: number): Float32Array {
    const { vocabularySize } = this.#layout;
    return logits.subarray(index * vocabularySize, (index + 1) * vocabularySize);
  }
}
