/**
 * Who waits, who runs and what every slot holds: all that a plan is made of, and the one place that changes it. Takes in plans, and what
 * each computed row makes of its sequence. Decides nothing that planStep or a sampler decide; runs nothing.
 */
import type { Layout } from '../runtime/layout.ts';
import { Constraints } from './constraint/constraints.ts';
import { FormError, type Guide } from './constraint/guide.ts';
import type { TokenMask } from './constraint/mask.ts';
import type { Constraint, EngineStats, SequenceRequest } from './contract.ts';
import { KeptAnswers } from './kept-answers.ts';
import { type PlanLimits, planStep, type StepPlan, sequencesOf } from './plan.ts';
import { type Ending, type Listener, Sequence } from './sequence.ts';
import { Slot } from './slot.ts';

export class Scheduler {
  readonly slots: readonly Slot[];
  readonly #layout: Layout;
  readonly #limits: PlanLimits;
  readonly #wake: () => void;
  readonly #sequences = new Map<string, Sequence>();
  #waiting: Sequence[] = [];
  #running: Sequence[] = [];
  #peakSlots = 0;
  /** Runs planned so far. */
  #step = 0;
  readonly #kept: KeptAnswers;
  #background: Sequence | undefined;
  #constraints: Constraints | undefined;
  /** While a plan is taken in, a listener's call may not end a sequence that the plan is about to admit. */
  #isApplying = false;

  /** `wake`: told when a sequence that was paused can go on. */
  constructor(layout: Layout, limits: PlanLimits, wake: () => void) {
    this.slots = Array.from({ length: layout.slots }, () => new Slot());
    this.#layout = layout;
    this.#limits = limits;
    this.#wake = wake;
    this.#kept = new KeptAnswers(layout.slots);
  }

  /** In the order in which they came. */
  get sequences(): readonly Sequence[] {
    return [...this.#sequences.values()];
  }

  get isEmpty(): boolean {
    return this.#sequences.size === 0;
  }

  /** Computes a kept answer for nobody; is to give way to whoever comes. */
  get background(): Sequence | undefined {
    return this.#background;
  }

  find(id: string): Sequence | undefined {
    return this.#sequences.get(id);
  }

  slotOf(sequence: Sequence): Slot {
    const slot = sequence.slot === undefined ? undefined : this.slots[sequence.slot];
    if (!slot) throw new Error(`sequence ${sequence.request.id} has no slot`);
    return slot;
  }

  usage(): Pick<EngineStats, 'running' | 'waiting' | 'cacheUsage'> {
    const asked = (sequence: Sequence) => sequence !== this.#background;
    const running = this.#running.filter(asked);
    const used = running.reduce((sum, sequence) => sum + this.slotOf(sequence).tokens.length, 0);
    return {
      running: running.length,
      waiting: this.#waiting.filter(asked).length,
      cacheUsage: used / (this.#layout.slots * this.#layout.contextLength),
    };
  }

  /** At the end of the line. The request has no fault, and nobody has its id. */
  add(request: SequenceRequest, listener: Listener): Sequence {
    const remaining = Math.min(request.maxNewTokens, this.#layout.contextLength - request.prompt.length);
    const guide = request.constraint && this.#guideFor(request.constraint);
    const sequence = new Sequence(request, remaining, guide, listener);
    this.#sequences.set(request.id, sequence);
    this.#waiting.push(sequence);
    if (guide) void this.#pause(sequence, guide.opened, () => {});
    return sequence;
  }

  /** Puts a kept answer in the line; returns whether there was one. */
  addBackground(): boolean {
    const prompt = this.#kept.take(this.slots);
    if (prompt === undefined) return false;
    const sampling = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0 };
    const id = `kept-answer-${this.#step}`;
    const request = { id, prompt, maxNewTokens: 0, eosTokenIds: [], sampling, deadline: Infinity };
    this.#background = this.add(request, () => {});
    return true;
  }

  /** `promptWork` and `now` as planStep has them. */
  plan(promptWork: number, now: number): StepPlan<Sequence> {
    const [waiting, running, slots, peakSlots] = [this.#waiting, this.#running, this.slots, this.#peakSlots];
    return planStep({ waiting, running, slots, promptWork, peakSlots }, this.#limits, now);
  }

  /** Takes in the plan's decisions: who leaves, who comes, who moves where. Throws when the layout cannot copy. */
  apply(plan: StepPlan<Sequence>): void {
    this.#isApplying = true;
    try {
      for (const { sequence, reason } of plan.ended) this.finish(sequence, { reason });
      // A listener may have had all others ended as well.
      if (this.isEmpty) return;
      for (const { from, to, length } of plan.copies) this.#copy(from, to, length);
      if (plan.moved) {
        this.slotOf(plan.moved.sequence).truncate(0);
        plan.moved.sequence.slot = plan.moved.slot;
      }
      if (plan.admitted) {
        const { sequence, slot, shared } = plan.admitted;
        this.#waiting = this.#waiting.filter((other) => other !== sequence);
        this.#running = [...this.#running, sequence];
        this.#peakSlots = Math.max(this.#peakSlots, this.#running.length);
        sequence.slot = slot;
        this.slotOf(sequence).truncate(shared);
        sequence.tell({ type: 'started', cachedTokens: shared });
      }
      if (plan.run.type !== 'idle') this.#step++;
      for (const sequence of sequencesOf(plan.run)) this.slotOf(sequence).usedAt = this.#step;
    } finally {
      this.#isApplying = false;
    }
  }

  /** Whoever only waits need not wait for the step in progress. */
  leaveLine(sequence: Sequence): void {
    if (sequence.slot === undefined && !this.#isApplying) this.finish(sequence, { reason: 'cancelled' });
  }

  /** Samples, once the mask is there when the text must have a form. Until then it sits out: others do not wait for it. */
  advance(sequence: Sequence, row: Float32Array): void {
    const { masks, answered } = sequence.guide ?? {};
    if (masks || !answered) this.advanceMasked(sequence, row, masks?.[0]);
    else {
      const kept = row.slice();
      void this.#pause(sequence, answered, ([mask]) => this.advanceMasked(sequence, kept, mask));
    }
  }

  /** Has the sequence choose its next token from its row, and ends it when that was its last. */
  advanceMasked(sequence: Sequence, row: Float32Array, mask: TokenMask | undefined): void {
    // It may have ended while its run was under way.
    if (!sequence.goesOn) return;
    try {
      const ending = sequence.sample(row, mask);
      if (!ending) return;
      if (ending.token !== undefined) this.#keep(sequence, ending.token);
      this.finish(sequence, ending);
    } catch (error) {
      this.fail(sequence, error);
    }
  }

  /** Ends it once, whoever says so again. Its slot keeps what others can share. */
  finish(sequence: Sequence, ending: Ending): void {
    if (!this.#sequences.delete(sequence.request.id)) return;
    this.#waiting = this.#waiting.filter((other) => other !== sequence);
    this.#running = this.#running.filter((other) => other !== sequence);
    if (sequence.slot !== undefined) this.slotOf(sequence).truncate(this.slotOf(sequence).shareable);
    if (sequence === this.#background) this.#background = undefined;
    if (sequence.guide) this.#constraints?.close(sequence.guide);
    sequence.end(ending);
  }

  /** Ends it, and forgets what its slot holds, which may be wrong. */
  discard(sequence: Sequence, ending: Ending): void {
    if (sequence.slot !== undefined) this.slotOf(sequence).truncate(0);
    this.finish(sequence, ending);
  }

  /** Ends it by what its own request or its own row did: others go on. */
  fail(sequence: Sequence, error: unknown): void {
    const reason = error instanceof FormError ? 'rejected' : 'failed';
    this.discard(sequence, { reason, error: error instanceof Error ? error.message : String(error) });
  }

  /** Ends the threads that follow grammars. */
  async close(): Promise<void> {
    await this.#constraints?.end();
  }

  #guideFor({ grammar, tokens }: Constraint): Guide {
    this.#constraints ??= new Constraints(tokens);
    return this.#constraints.open(grammar);
  }

  #copy(from: number, to: number, length: number): void {
    const [source, target] = [this.slots[from], this.slots[to]];
    if (!source || !target) throw new Error(`the plan copies slot ${from} to ${to}; there are ${this.slots.length}`);
    this.#layout.copySlot(from, to, length);
    target.copyFrom(source, length);
    source.usedAt = this.#step;
  }

  /** Keeps it from being planned until what it waits for has come, which is then taken in. */
  async #pause<T>(sequence: Sequence, coming: Promise<T>, take: (come: T) => void): Promise<void> {
    sequence.isPaused = true;
    try {
      take(await coming);
    } catch (error) {
      this.fail(sequence, error);
    }
    sequence.isPaused = false;
    this.#wake();
  }

  /** `last`: the token that ended it, which is not in the cache. */
  #keep({ request, prompt, slot }: Sequence, last: number): void {
    if (!request.goesOn || this.#layout.onlyForward || slot === undefined) return;
    const tokens = [...(this.slots[slot]?.tokens ?? []), last];
    if (tokens.length < this.#layout.contextLength) this.#kept.add({ tokens, promptLength: prompt.length });
  }
}
