/**
 * Lets a version be opened only when there is memory for it, and has idle ones unloaded where that makes the room. Remembers what each
 * version has taken, which beats any estimate. One decision at a time: two that come at once do not get the same room.
 */
import { labelOf } from '@slipway/shared/bucket/keys.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import pLimit from 'p-limit';
import type { EnginesMemory } from './list-models.ts';
import type { OpenModel } from './load-model.ts';
import { makeRoom, mebibytes } from './make-room.ts';
import {
  availableMemory,
  estimateMemory,
  type Footprint,
  type MeasuredFootprint,
  type MemoryReadings,
  peakMemoryOf,
} from './memory.ts';

export interface AdmissionOptions {
  readonly readings: () => MemoryReadings;
  /** For all engines together; null: none. */
  readonly limitBytes: number | null;
  readonly footprintOf: (manifest: Manifest) => Footprint;
  readonly open: () => readonly OpenModel[];
  /** Neither in use nor needed by its name alone. */
  readonly mayGo: (model: OpenModel) => boolean;
  /** Resolves when its engine has ended. */
  readonly unload: (model: OpenModel) => Promise<void>;
  readonly log: Logger;
}

export class MemoryAdmission {
  readonly #options: AdmissionOptions;
  readonly #oneAtATime = pLimit(1);
  readonly #measured = new Map<string, MeasuredFootprint & { readonly manifest: Manifest }>();
  readonly #reserved = new Map<symbol, number>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Bytes that the version's engine took at most, or will by all that is known. */
  expectedBytes(manifest: Manifest): number {
    return estimateMemory(this.#options.footprintOf(manifest), this.#closestMeasured(manifest));
  }

  /** As it stands now. */
  memory(): EnginesMemory {
    const { readings, limitBytes, open } = this.#options;
    return {
      enginesBytes: open().reduce((sum, model) => sum + heldBytes(model), 0),
      availableBytes: availableMemory(readings()),
      limitBytes,
    };
  }

  /** Reads what the engine has taken so far; before it ends, or nobody knows any more. */
  measure(model: OpenModel): void {
    const state = model.engine.state();
    const peakBytes = state.kind === 'ready' ? peakMemoryOf(state.pid) : null;
    if (peakBytes === null) return;
    const label = labelOf(model.manifest);
    const before = this.#measured.get(label)?.peakBytes ?? 0;
    const { manifest, footprint } = model;
    this.#measured.set(label, { manifest, footprint, peakBytes: Math.max(before, peakBytes), isItself: true });
  }

  /** Reserves the room until the function given is called. AppError insufficient_memory, with numbers. */
  admit(manifest: Manifest): Promise<() => void> {
    return this.#oneAtATime(async () => {
      const neededBytes = await this.#room(manifest);
      const key = Symbol();
      this.#reserved.set(key, neededBytes);
      return () => this.#reserved.delete(key);
    });
  }

  /**
   * The same for the model a service starts with: it is refused only where its weights alone are too large, and warned of
   * where all of it may be.
   */
  admitFirst(manifest: Manifest): () => void {
    const { weightBytes } = this.#options.footprintOf(manifest);
    const least = makeRoom({ ...this.#circumstances(), neededBytes: weightBytes });
    if (least.kind === 'refuse') throw tooLarge(manifest, least.why);
    const neededBytes = this.expectedBytes(manifest);
    const answer = makeRoom({ ...this.#circumstances(), neededBytes });
    if (answer.kind === 'refuse') this.#options.log.warn(`${labelOf(manifest)} may be too large: ${answer.why}`);
    const key = Symbol();
    this.#reserved.set(key, neededBytes);
    return () => this.#reserved.delete(key);
  }

  async #room(manifest: Manifest): Promise<number> {
    const { open, unload, log } = this.#options;
    for (;;) {
      for (const model of open()) this.measure(model);
      const neededBytes = this.expectedBytes(manifest);
      const answer = makeRoom({ ...this.#circumstances(), neededBytes });
      if (answer.kind === 'fits') return neededBytes;
      if (answer.kind === 'refuse') throw tooLarge(manifest, answer.why);
      for (const model of open().filter(({ manifest: one }) => answer.keys.includes(labelOf(one)))) {
        log.info({ needed: mebibytes(neededBytes) }, `${labelOf(model.manifest)} is unloaded to make room`);
        await unload(model);
      }
    }
  }

  #circumstances() {
    const { readings, limitBytes, open, mayGo } = this.#options;
    return {
      availableBytes: availableMemory(readings()),
      reservedBytes: [...this.#reserved.values()].reduce((sum, bytes) => sum + bytes, 0),
      limitBytes,
      running: open().map((model) => {
        const key = labelOf(model.manifest);
        return {
          key,
          heldBytes: heldBytes(model),
          mostBytes: this.#measured.get(key)?.peakBytes ?? this.expectedBytes(model.manifest),
          lastUsedAt: model.holders.lastUsedAt,
          mayGo: mayGo(model),
        };
      }),
    };
  }

  /** Itself, else one of the same name, else of the same precision, else any. */
  #closestMeasured(manifest: Manifest): MeasuredFootprint | undefined {
    const itself = this.#measured.get(labelOf(manifest));
    if (itself !== undefined) return itself;
    const others = [...this.#measured.values()].reverse();
    const closest =
      others.find((one) => one.manifest.name === manifest.name) ??
      others.find((one) => one.manifest.precision === manifest.precision) ??
      others[0];
    return closest && { ...closest, isItself: false };
  }
}

function heldBytes(model: OpenModel): number {
  return model.engineProcess().memoryBytes ?? 0;
}

function tooLarge(manifest: Manifest, why: string): AppError {
  return new AppError('insufficient_memory', `${labelOf(manifest)} is not loaded: ${why}`);
}
