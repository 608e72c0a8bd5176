/**
 * The clock of deadlines: it neither jumps nor goes back when somebody sets the time, and all processes of a machine read the same.
 * Not a time of day.
 */

/** Milliseconds since a moment that is the same for all processes of this machine. */
export function steadyNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
