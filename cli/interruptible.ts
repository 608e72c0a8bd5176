/**
 * Ctrl-C for long work: the first one asks it to stop and clean up, a second one, or a work that does not stop, ends the process.
 */

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;
const STOPS_WITHIN_MILLISECONDS = 5000;

/** Runs `work`; when a signal has stopped it, the process leaves with 130 (143 for SIGTERM) and one line that says `after`. */
export async function interruptible<T>(after: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  let exitCode = 0;
  const leave = () => process.exit(exitCode);
  const onSignal = (signal: keyof typeof SIGNALS) => {
    if (stop.signal.aborted) leave();
    exitCode = SIGNALS[signal];
    stop.abort(new Error('interrupted'));
    setTimeout(leave, STOPS_WITHIN_MILLISECONDS);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  try {
    return await work(stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    process.stderr.write(`interrupted: ${after}\n`);
    return leave();
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal);
  }
}
