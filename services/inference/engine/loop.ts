/**
 * The engine over one layout: `plan -> run -> sample -> commit`, step after step while there is work. Owns the sequences and what each
 * slot holds; decides nothing that planStep or the sampler decide. Knows nothing of processes, text or HTTP.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { steadyNow } from '@slipway/shared/lib/steady-now.ts';
import { type Layout, TerminatedError } from '../runtime/layout.ts';
import { awaitMasks } from './constraint/await-masks.ts';
import { Constraints } from './constraint/constraints.ts';
import { FormError, type Guide } from './constraint/guide.ts';
import type { TokenMask } from './constraint/mask.ts';
import type { Constraint, Engine, EngineEvent, FinishReason, SequenceRequest, TokenLogprobs } from './contract.ts';
import { FIRST_HIT_RATE, guessLength, guessTokens, updateHitRate } from './draft.ts';
import { findFault } from './find-fault.ts';
import { KeptAnswers } from './kept-answers.ts';
import { type PlanLimits, type PlannedSequence, planStep, prefillCost, type StepPlan } from './plan.ts';
import { createSampler, type Sampler } from './sampler.ts';
import { describeToken, findBest } from './sampling.ts';
import { Slot } from './slot.ts';
import { StepCounts } from './step-counts.ts';

export interface EngineOptions {
  readonly limits?: Partial<PlanLimits>;
  /** Guess tokens of a sequence that decodes alone, where the layout can check them; true unless given. Changes no token. */
  readonly speculate?: boolean;
  /** The clock of the deadlines; steadyNow unless given. */
  readonly now?: () => number;
  /** Called once when the layout has failed too often to go on; everything pending has been failed by then. */
  readonly onBroken?: (reason: string) => void;
}

interface Sequence extends PlannedSequence {
  readonly request: SequenceRequest;
  readonly sampler: Sampler;
  /** When its text must have a form. */
  readonly guide: Guide | undefined;
  readonly onEvent: (event: EngineEvent) => void;
  cancelled: boolean;
  isPaused: boolean;
  remaining: number;
  slot: number | undefined;
  /** The newest token, which is not in the cache yet. */
  lastToken: number;
  /** How often guesses of its next token have lately been right, 0..1. */
  hitRate: number;
}

const DEFAULT_LIMITS = { chunkWhileDecoding: 128, chunkAlone: 512, chunkWithLogits: 64, spareSlots: 2 };

/** Runs that may fail in a row before the layout counts as broken. */
const FAILURES_TO_BREAK = 3;

/** Longest delay a timer of Node can have. */
const LONGEST_TIMER = 2 ** 31 - 1;

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** An engine in this process; it closes the layout when it is closed. */
export function createEngine(layout: Layout, options: EngineOptions = {}): Engine {
  const now = options.now ?? steadyNow;
  const verify = options.speculate === false ? undefined : layout.verify?.bind(layout);
  const limits: PlanLimits = { ...DEFAULT_LIMITS, ...options.limits };
  const slots: Slot[] = Array.from({ length: layout.slots }, () => new Slot());
  const sequences = new Map<string, Sequence>();
  let waiting: Sequence[] = [];
  let running: Sequence[] = [];
  const counted = new StepCounts();
  let promptWork = 0;
  let peakSlots = 0;
  let failuresInRow = 0;
  let terminationsInRow = 0;
  /** Why it takes no more work. */
  let stopped: string | undefined;
  let prefilling: Sequence | undefined;
  const kept = new KeptAnswers(layout.slots);
  /** Computes a kept answer for nobody; gives way to whoever comes. */
  let background: Sequence | undefined;
  /** While a plan is taken in, a listener's call may not end a sequence that the plan is about to admit. */
  let applying = false;
  let constraints: Constraints | undefined;
  /** Wakes it at the first deadline when all that is left to do is to wait. */
  let alarm: NodeJS.Timeout | undefined;
  let loop: Promise<void> | undefined;
  let closed: Promise<void> | undefined;

  function emit(onEvent: (event: EngineEvent) => void, event: EngineEvent): void {
    try {
      onEvent(event);
    } catch (error) {
      // A listener's bug is the caller's: it must not stop the other sequences.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  function slotOf(sequence: Sequence): Slot {
    const slot = sequence.slot === undefined ? undefined : slots[sequence.slot];
    if (!slot) throw new Error(`sequence ${sequence.request.id} has no slot`);
    return slot;
  }

  function finish(sequence: Sequence, reason: FinishReason, error?: string): void {
    if (!sequences.delete(sequence.request.id)) return;
    waiting = waiting.filter((other) => other !== sequence);
    running = running.filter((other) => other !== sequence);
    // Only what others can share is worth keeping.
    if (sequence.slot !== undefined) slotOf(sequence).truncate(slotOf(sequence).shareable);
    if (sequence === background) background = undefined;
    if (sequence.guide) constraints?.close(sequence.guide);
    emit(sequence.onEvent, error === undefined ? { type: 'finished', reason } : { type: 'finished', reason, error });
  }

  /** Takes in the plan's decisions: who leaves, who comes, who moves where. */
  function apply(plan: StepPlan<Sequence>): void {
    applying = true;
    for (const { sequence, reason } of plan.ended) finish(sequence, reason);
    for (const { from, to, length } of plan.copies) {
      const [source, target] = [slots[from], slots[to]];
      if (!source || !target) throw new Error(`the plan copies slot ${from} to ${to}; there are ${slots.length}`);
      layout.copySlot(from, to, length);
      target.copyFrom(source, length);
      source.usedAt = counted.steps;
    }
    if (plan.moved) {
      slotOf(plan.moved.sequence).truncate(0);
      plan.moved.sequence.slot = plan.moved.slot;
    }
    if (plan.admitted) {
      const { sequence, slot, shared } = plan.admitted;
      waiting = waiting.filter((other) => other !== sequence);
      running = [...running, sequence];
      sequence.slot = slot;
      slotOf(sequence).truncate(shared);
      peakSlots = Math.max(peakSlots, running.length);
      emit(sequence.onEvent, { type: 'started', cachedTokens: shared });
    }
    applying = false;
  }

  function goesOn(sequence: Sequence): boolean {
    return !sequence.cancelled && sequences.get(sequence.request.id) === sequence;
  }

  /** Samples, once the mask is there when the text must have a form. Until then it sits out: others do not wait for it. */
  function sampleGuided(sequence: Sequence, row: Float32Array): void {
    const { masks, answered } = sequence.guide ?? {};
    if (masks || !answered) sample(sequence, row, masks?.[0]);
    else {
      const kept = row.slice();
      void resume(sequence, answered, ([mask]) => sample(sequence, kept, mask));
    }
  }

  /** Pauses it until what it waits for has come, which is then taken in. */
  async function resume<T>(sequence: Sequence, coming: Promise<T>, take: (come: T) => void): Promise<void> {
    sequence.isPaused = true;
    try {
      take(await coming);
    } catch (error) {
      end(sequence, error);
    }
    sequence.isPaused = false;
    wake();
  }

  function end(sequence: Sequence, error: unknown): void {
    if (sequence.slot !== undefined) slotOf(sequence).truncate(0);
    finish(sequence, error instanceof FormError ? 'rejected' : 'failed', messageOf(error));
  }

  /** Chooses the next token from the sequence's row and ends the sequence when that was its last. */
  function sample(sequence: Sequence, row: Float32Array, mask?: TokenMask): void {
    // It may have ended while its run was under way.
    if (!goesOn(sequence)) return;
    if (sequence.remaining === 0) {
      finish(sequence, 'length');
      return;
    }
    try {
      const choice = sequence.sampler.choose(row, mask);
      if (!choice) {
        finish(sequence, 'stop');
        return;
      }
      const { token, logprobs } = choice;
      const { eosTokenIds, stopTokenIds } = sequence.request;
      const reason = eosTokenIds.includes(token) ? 'eos' : stopTokenIds?.includes(token) ? 'stop' : undefined;
      if (reason !== undefined) {
        keep(sequence, token);
        finish(sequence, reason);
        return;
      }
      sequence.lastToken = token;
      sequence.remaining--;
      sequence.guide?.accept(token);
      emit(sequence.onEvent, logprobs ? { type: 'token', token, logprobs } : { type: 'token', token });
      if (sequence.remaining > 0) return;
      keep(sequence, token);
      finish(sequence, 'length');
    } catch (error) {
      end(sequence, error);
    }
  }

  /** `last`: the token that ended it, which is not in the cache. */
  function keep({ request, prompt, slot }: Sequence, last: number): void {
    if (!request.goesOn || layout.onlyForward || slot === undefined) return;
    const tokens = [...(slots[slot]?.tokens ?? []), last];
    if (tokens.length < layout.contextLength) kept.add({ tokens, promptLength: prompt.length });
  }

  /** Whether there was an answer to compute. */
  function beginKeeping(): boolean {
    const prompt = kept.take(slots);
    if (prompt === undefined || stopped !== undefined) return false;
    const id = `kept-answer-${counted.steps}`;
    const sampling = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0 };
    const request = { id, prompt, maxNewTokens: 0, eosTokenIds: [], sampling, deadline: Infinity };
    background = newSequence(request, 0, () => {});
    sequences.set(id, background);
    waiting.push(background);
    return true;
  }

  function newSequence(request: SequenceRequest, remaining: number, onEvent: (event: EngineEvent) => void): Sequence {
    return {
      request,
      prompt: request.prompt,
      deadline: request.deadline,
      sampler: createSampler(request),
      guide: request.constraint && guideFor(request.constraint),
      needsPromptLogits: request.promptLogprobs !== undefined,
      onEvent,
      cancelled: false,
      isPaused: false,
      remaining,
      slot: undefined,
      lastToken: -1,
      hitRate: FIRST_HIT_RATE,
    };
  }

  function guideFor({ grammar, tokens }: Constraint): Guide {
    constraints ??= new Constraints(tokens);
    return constraints.open(grammar);
  }

  function cancel(sequence: Sequence): void {
    sequence.cancelled = true;
    if (sequence.isPaused) wake();
    if (sequence === prefilling) layout.terminate();
    // Whoever only waits need not wait for the step in progress.
    else if (sequence.slot === undefined && !applying) finish(sequence, 'cancelled');
  }

  async function prefill(sequence: Sequence, slotIndex: number, start: number, end: number): Promise<void> {
    const slot = slotOf(sequence);
    const chunk = sequence.prompt.slice(start, end);
    const isLast = end === sequence.prompt.length;
    counted.addStep(chunk.length);
    let timer: NodeJS.Timeout;
    const watchDeadline = () => {
      const left = sequence.deadline - now();
      timer = setTimeout(
        // It may come a little early by the clock.
        () => (now() >= sequence.deadline ? layout.terminate() : watchDeadline()),
        Math.min(Math.max(left, 1), LONGEST_TIMER),
      );
      return () => clearTimeout(timer);
    };
    const stopWatching = watchDeadline();
    prefilling = sequence;
    // Should the run be stopped, what it overwrote is not to be found again.
    slot.truncate(start);
    if (isLast) sequence.guide?.ask([]);
    let row: Float32Array | undefined;
    try {
      const wanted = sequence.needsPromptLogits ? 'all' : isLast ? 'last' : 'none';
      const logits = await layout.prefill(slotIndex, chunk, start, wanted);
      slot.addPrompt(chunk, sequence.prompt.length > 1 && !layout.onlyForward);
      if (sequence.needsPromptLogits) describePrompt(sequence, logits, start, end);
      if (isLast) row = sequence.needsPromptLogits ? rowOf(logits, chunk.length - 1) : logits;
    } finally {
      // Also when it was stopped: running streams have waited for it all the same.
      promptWork += prefillCost(chunk.length);
      prefilling = undefined;
      stopWatching();
    }
    if (!row) return;
    await awaitMasks([sequence.guide]);
    sampleGuided(sequence, row);
  }

  /** Row i is what the model expected after the prompt's token start + i. */
  function describePrompt(sequence: Sequence, logits: Float32Array, start: number, end: number): void {
    if (!goesOn(sequence)) return;
    const { prompt, promptLogprobs = 0 } = sequence.request;
    const described: (TokenLogprobs | null)[] = start === 0 ? [null] : [];
    for (let at = start + 1; at <= Math.min(end, prompt.length - 1); at++) {
      const row = rowOf(logits, at - 1 - start);
      if (findBest(row) < 0) throw new Error('the model computed logits that are not finite numbers (NaN or infinity)');
      described.push(describeToken(row, prompt[at] ?? 0, promptLogprobs));
    }
    emit(sequence.onEvent, { type: 'prompt', logprobs: described });
  }

  function rowOf(logits: Float32Array, index: number): Float32Array {
    return logits.subarray(index * layout.vocabularySize, (index + 1) * layout.vocabularySize);
  }

  async function decode(rows: readonly (Sequence | undefined)[]): Promise<void> {
    const tokens: number[] = [];
    const lengths: number[] = [];
    for (const [index, sequence] of rows.entries()) {
      // A hole's row is written behind what its slot still holds.
      if (!sequence) slots[index]?.truncate(layout.contextLength - 1);
      tokens.push(sequence?.lastToken ?? 0);
      lengths.push(slots[index]?.tokens.length ?? 0);
    }
    counted.addStep(rows.filter((sequence) => sequence !== undefined).length);
    for (const sequence of rows) sequence?.guide?.ask([]);
    const logits = await layout.decode(tokens, lengths);
    promptWork = 0;
    await awaitMasks(rows.map((sequence) => sequence?.guide));
    for (const [index, sequence] of rows.entries()) {
      if (!sequence) continue;
      slotOf(sequence).addDecoded(sequence.lastToken);
      sampleGuided(sequence, rowOf(logits, index));
    }
  }

  /**
   * Decodes the sequence of slot 0, and checks guesses of what follows in the same run. Rows are sampled one after the other, each
   * as a step of its own would: up to the first token that is not the guessed one, behind which every row is of another text.
   */
  async function decodeGuessing(sequence: Sequence, check: NonNullable<Layout['verify']>): Promise<void> {
    const slot = slotOf(sequence);
    const checked = Math.min(guessLength(sequence.hitRate), sequence.remaining - 1);
    // Whether a guess would have been right can be seen without a row for it.
    const guess = guessTokens([...slot.tokens, sequence.lastToken], Math.max(checked, 1));
    const rows = [sequence.lastToken, ...guess.slice(0, checked)];
    const filled = slot.tokens.length;
    counted.addStep(rows.length);
    counted.addDraft(rows.length - 1);
    sequence.guide?.ask(rows.slice(1));
    const logits = await (rows.length > 1 ? check(rows, filled) : layout.decode(rows, [filled]));
    promptWork = 0;
    await awaitMasks([sequence.guide]);
    const masks = sequence.guide?.masks;
    if (sequence.guide && !masks) {
      slot.addDecoded(sequence.lastToken);
      sampleGuided(sequence, rowOf(logits, 0));
      return;
    }
    for (const [index, token] of rows.entries()) {
      // Fewer when the step before this one was repeated with other guesses.
      if (masks && !masks[index]) return;
      slot.addDecoded(token);
      sample(sequence, rowOf(logits, index), masks?.[index]);
      const guessedToken = guess[index];
      if (!goesOn(sequence) || guessedToken === undefined) return;
      const isRight = sequence.lastToken === guessedToken;
      sequence.hitRate = updateHitRate(sequence.hitRate, isRight);
      if (!isRight) return;
      if (index + 1 < rows.length) counted.addAccepted(index);
    }
  }

  /** A run that failed takes its own sequences with it, and everything when it is not the first in a row. */
  function fail(error: unknown, involved: readonly Sequence[]): void {
    if (error instanceof TerminatedError) {
      // Someone left or ran out of time: that says nothing about the model, however often it happens.
      if (stopped !== undefined || involved.some(({ cancelled, deadline }) => cancelled || now() >= deadline)) return;
      // It can also hit a sequence that was just done; the next plan repeats what the run was to do.
      if (terminationsInRow++ < FAILURES_TO_BREAK) return;
    }
    for (const sequence of involved) {
      if (sequence.slot !== undefined) slotOf(sequence).truncate(0);
      finish(sequence, 'failed', `the model could not be run: ${messageOf(error)}`);
    }
    if (++failuresInRow < FAILURES_TO_BREAK) return;
    stop(`the model failed ${failuresInRow} times in a row, the last time with: ${messageOf(error)}`);
    options.onBroken?.(messageOf(error));
  }

  async function step(): Promise<boolean> {
    const state = { waiting, running, slots, promptWork, peakSlots };
    const plan = planStep(state, limits, now());
    const { run } = plan;
    let involved: readonly Sequence[] = plan.admitted ? [plan.admitted.sequence] : running;
    try {
      apply(plan);
      if (run.type === 'idle' || stopped !== undefined) return sequences.size === 0 && beginKeeping();
      if (run.type === 'prefill') {
        involved = [run.sequence];
        await prefill(run.sequence, run.slot, run.start, run.end);
      } else {
        involved = run.rows.filter((sequence) => sequence !== undefined);
        const [first, ...others] = run.rows;
        if (verify && first && others.length === 0) await decodeGuessing(first, verify);
        else await decode(run.rows);
      }
      failuresInRow = 0;
      terminationsInRow = 0;
    } catch (error) {
      applying = false;
      fail(error, involved);
    }
    for (const sequence of involved) if (sequence.slot !== undefined) slotOf(sequence).usedAt = counted.steps;
    return true;
  }

  async function runLoop(): Promise<void> {
    // A layout that answers at once must not keep submissions and cancellations from being heard.
    while (stopped === undefined && (await step())) await nextTurn();
    loop = undefined;
    if (stopped !== undefined || sequences.size === 0) return;
    const all = [...sequences.values()];
    // What came in between the last plan and here.
    if (all.some(({ isPaused, cancelled }) => !isPaused || cancelled)) wake();
    else {
      const left = Math.min(...all.map(({ deadline }) => deadline)) - now();
      alarm = setTimeout(wake, Math.min(Math.max(left, 1), LONGEST_TIMER)).unref();
    }
  }

  function wake(): void {
    clearTimeout(alarm);
    loop ??= nextTurn().then(runLoop);
  }

  function stop(reason: string): void {
    stopped ??= reason;
    for (const sequence of [...sequences.values()]) finish(sequence, 'failed', reason);
  }

  async function close(): Promise<void> {
    stop('the engine was closed');
    if (prefilling) layout.terminate();
    clearTimeout(alarm);
    await loop;
    await constraints?.end();
    await layout.close();
  }

  return {
    info: {
      layout: layout.kind,
      vocabularySize: layout.vocabularySize,
      contextLength: layout.contextLength,
      slots: layout.slots,
      threads: layout.threads,
      device: 'cpu',
      runtime: layout.runtime,
    },

    submit(request, onEvent) {
      const taken = sequences.has(request.id) ? `a sequence with the id ${request.id} is already pending` : undefined;
      const fault = stopped ?? taken ?? findFault(request, layout);
      if (fault !== undefined) {
        emit(onEvent, { type: 'finished', reason: 'failed', error: fault });
        return;
      }
      const room = layout.contextLength - request.prompt.length;
      const remaining = Math.min(request.maxNewTokens, room);
      if (!(remaining > 0) && request.promptLogprobs === undefined) {
        emit(onEvent, { type: 'finished', reason: 'length' });
        return;
      }
      if (background) cancel(background);
      const sequence = newSequence(request, remaining, onEvent);
      sequences.set(request.id, sequence);
      waiting.push(sequence);
      if (sequence.guide) void resume(sequence, sequence.guide.opened, () => {});
      wake();
    },

    cancel(id) {
      const sequence = sequences.get(id);
      if (sequence) cancel(sequence);
    },

    stats() {
      const asked = (sequence: Sequence) => sequence !== background;
      const answered = running.filter(asked);
      const used = answered.reduce((sum, sequence) => sum + slotOf(sequence).tokens.length, 0);
      return {
        running: answered.length,
        waiting: waiting.filter(asked).length,
        cacheUsage: used / (layout.slots * layout.contextLength),
        ...counted.read(),
      };
    },

    close() {
      closed ??= close();
      return closed;
    },
  };
}
