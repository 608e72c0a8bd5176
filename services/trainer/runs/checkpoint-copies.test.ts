import { expect, it } from 'vitest';
import { CheckpointCopies } from './checkpoint-copies.ts';

/** Copies that end when they are told to. */
function slowCopies(patienceMilliseconds?: number) {
  const begun: string[] = [];
  const told: string[] = [];
  const ends: ((error?: Error) => void)[] = [];
  const copies = new CheckpointCopies({
    copy: (checkpoint) => {
      begun.push(checkpoint);
      return new Promise((resolve, reject) => ends.push((error) => (error ? reject(error) : resolve())));
    },
    onFailure: (why) => told.push(why),
    ...(patienceMilliseconds === undefined ? {} : { patienceMilliseconds }),
  });
  const end = async (error?: Error) => {
    ends.shift()?.(error);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { copies, begun, told, end };
}

it('are made one at a time, and the newest passes over those that wait', async () => {
  const { copies, begun, told, end } = slowCopies();
  for (const name of ['a', 'b', 'c']) copies.offer(name);
  expect(begun).toEqual(['a']);
  await end(new Error('too late'));
  expect(begun).toEqual(['a', 'c']);
  const settled = copies.settled();
  await end();
  await settled;
  expect(told).toEqual([]);
  expect(begun).toEqual(['a', 'c']);
});

it('that fail are told, and the next is tried', async () => {
  const { copies, begun, told, end } = slowCopies();
  copies.offer('a');
  await end(new Error('no bucket'));
  copies.offer('b');
  const settled = copies.settled();
  await end();
  await settled;
  expect(begun).toEqual(['a', 'b']);
  expect(told).toEqual(['no bucket']);
});

it('that never end are waited for no longer than there is patience', async () => {
  const { copies, told, end } = slowCopies(10);
  copies.offer('a');
  await copies.settled();
  expect(told).toEqual(['the bucket does not answer']);
  // Nobody listens any more.
  await end(new Error('at last'));
  expect(told).toHaveLength(1);
});
