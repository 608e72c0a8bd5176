/**
 * Runs work on 0 ... count - 1, begun in that order, at most `limit` at a time. After a failure nothing more begins; what runs is
 * waited for, and then the first failure is thrown. Knows nothing of the work.
 */
export async function inParallel(count: number, limit: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const failures: unknown[] = [];
  async function worker(): Promise<void> {
    while (next < count && failures.length === 0) {
      try {
        await work(next++);
      } catch (error) {
        failures.push(error);
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, count) }, worker));
  if (failures.length > 0) throw failures[0];
}
