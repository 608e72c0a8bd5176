/**
 * Turns for work that may wait: it runs in what live requests leave over, and gives way to them at once, the youngest first. Knows nothing of
 * what it is for.
 */
import type { Observation, Work } from './admission.ts';
import { CancelledError } from './generate.ts';
import type { Occupancy, Paced, Turns } from './occupancy.ts';

interface Place {
  readonly engine: Paced;
  readonly sequences: number;
  readonly giveWay: AbortController;
}

export class LeftoverRoom implements Turns {
  readonly #occupancy: Occupancy;
  readonly #most: number;
  /** The oldest first. */
  readonly #places: Place[] = [];
  #changed = Promise.withResolvers<void>();

  /** `most`: sequences that run at once, however much room there is. */
  constructor(occupancy: Occupancy, most: number) {
    this.#occupancy = occupancy;
    this.#most = most;
    occupancy.watch(() => {
      this.#giveWay();
      this.#tell();
    });
  }

  /** Resolves when one more could begin now, in a service of any engine: nothing need be prepared before. Rejects with the signal's reason. */
  async whenRoomy(signal: AbortSignal): Promise<void> {
    const anyEngine = { slots: Number.POSITIVE_INFINITY };
    while (!this.#hasRoom(anyEngine, 1)) await this.#nextChange(signal);
  }

  /** Waits for room, without a limit. CancelledError when it has had to give way: it has done nothing then. */
  async run<T>(
    work: Work,
    engine: Paced,
    _deadline: number,
    signal: AbortSignal,
    task: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const sequences = Math.min(work.sequences, engine.slots);
    while (!this.#hasRoom(engine, sequences)) await this.#nextChange(signal);
    const place: Place = { engine, sequences, giveWay: new AbortController() };
    this.#places.push(place);
    try {
      const result = await task(AbortSignal.any([signal, place.giveWay.signal]));
      if (place.giveWay.signal.aborted) throw new CancelledError('it has given way to a live request');
      return result;
    } finally {
      this.#leave(place);
    }
  }

  observe(seen: Observation, engine: Paced): void {
    this.#occupancy.observe(seen, engine);
  }

  #hasRoom(engine: Paced, sequences: number): boolean {
    const taken = this.#taken();
    const room = this.#occupancy.roomIn(engine);
    // One that is larger than all that batches may have runs alone.
    return taken + sequences <= Math.min(room, Math.max(this.#most, taken === 0 ? sequences : 0));
  }

  #taken(): number {
    return this.#places.reduce((sum, { sequences }) => sum + sequences, 0);
  }

  #leave(place: Place): void {
    const index = this.#places.indexOf(place);
    if (index >= 0) this.#places.splice(index, 1);
    this.#tell();
  }

  /** All who wait look again. */
  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => reject(signal.reason);
      if (signal.aborted) return leave();
      signal.addEventListener('abort', leave, { once: true });
      void this.#changed.promise.then(() => {
        signal.removeEventListener('abort', leave);
        resolve();
      });
    });
  }

  #giveWay(): void {
    for (let youngest = this.#places.at(-1); youngest !== undefined; youngest = this.#places.at(-1)) {
      if (this.#taken() <= this.#occupancy.roomIn(youngest.engine)) return;
      this.#places.pop();
      youngest.giveWay.abort(new CancelledError('a live request needs the room'));
    }
  }
}
