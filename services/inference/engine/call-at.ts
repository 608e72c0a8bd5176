/**
 * A timer for a moment of a given clock, however far away it is. Knows nothing of what happens then.
 */

/** Longest delay a timer of Node can have. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Calls back once `now()` has come to `moment`, in milliseconds. Returns what calls it off. Keeps no process alive. */
export function callAt(moment: number, now: () => number, callback: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = () => {
    const left = Math.min(Math.max(moment - now(), 1), LONGEST_TIMER);
    // It may come a little early by the clock.
    timer = setTimeout(() => (now() >= moment ? callback() : wait()), left).unref();
  };
  wait();
  return () => clearTimeout(timer);
}
