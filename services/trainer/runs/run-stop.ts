/**
 * What ends the stage of a run before its time: what people ask of the run, a worker that leaves, a lease that was lost. Hears it, tells the
 * stage and the kernel, and remembers what it was.
 */
import type { OpenRun } from './open-run.ts';
import { readWish, type Wish } from './run-folder.ts';

const WISH_MILLISECONDS = 200;

export class RunStop {
  readonly #run: OpenRun;
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #kernel: { pause(): void; cancel(): void; kill(why: string): void } | undefined;
  #wish: Wish | undefined;

  constructor(run: OpenRun, leave: AbortSignal) {
    this.#run = run;
    const left = () => {
      if (leave.reason instanceof Error && leave.reason.name === 'LeaseLostError')
        this.#kernel?.kill('its run is worked on elsewhere');
      else this.#kernel?.pause();
      this.#abort.abort(leave.reason);
    };
    leave.addEventListener('abort', left, { once: true });
    if (leave.aborted) left();
    this.#timer = setInterval(() => void this.listen(), WISH_MILLISECONDS);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get wish(): Wish | undefined {
    return this.#wish;
  }

  stopsKernel(kernel: { pause(): void; cancel(): void; kill(why: string): void }): void {
    this.#kernel = kernel;
    if (this.#wish !== undefined) this.#tell(this.#wish);
    else if (this.#abort.signal.aborted) kernel.pause();
  }

  end(): void {
    clearInterval(this.#timer);
  }

  /** By itself it does so now and then; a short run could be over before. */
  async listen(): Promise<void> {
    try {
      const wish = await readWish(this.#run.folder);
      if (wish === undefined || wish === this.#wish || this.#wish === 'cancelled') return;
      const event = wish === 'paused' ? 'pause_asked' : 'cancel_asked';
      const message = wish === 'paused' ? 'pauses after this step' : 'is being cancelled';
      // While it is published a pause comes too late, and is granted by the end.
      if (!(await this.#run.applyIfPossible(event, message))) return;
      this.#wish = wish;
      this.#tell(wish);
      this.#abort.abort(new Error(`the run is to be ${wish}`));
    } catch (error) {
      this.#kernel?.cancel();
      this.#abort.abort(error);
    }
  }

  #tell(wish: Wish): void {
    if (wish === 'paused') this.#kernel?.pause();
    else this.#kernel?.cancel();
  }
}
