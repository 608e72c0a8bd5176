/**
 * How a service hears that it is to leave: the first SIGTERM or SIGINT asks it to, a second one ends it at once.
 */
import type { Logger } from './log.ts';

const SIGNAL_NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;

/** Gives the question whether one has come. */
export function onSignals(log: Logger, leave: () => Promise<void>): () => boolean {
  let leaving = false;
  for (const [signal, number] of Object.entries(SIGNAL_NUMBERS)) {
    process.on(signal, () => {
      if (leaving) process.exit(128 + number);
      leaving = true;
      log.info({ signal }, 'draining; a second signal leaves at once');
      void leave();
    });
  }
  return () => leaving;
}
