/**
 * The system kills a kernel for its memory, really, by the limit of a control group around `slipway train`: the run begins again with half
 * as much at once, and its curve is that of a run with memory enough.
 */
import { expect, it } from 'vitest';
import { limitMemory, memoryGroupMissing } from './testing/memory-group.ts';
import { kernelMissing, lossCurve, newTrainPlace, TINY_GPT2 } from './testing/train-command.ts';

const why = kernelMissing || memoryGroupMissing;

/** A whole batch at once takes some 1.5 GB. */
async function train(changes: readonly string[], bytes?: number) {
  const place = await newTrainPlace();
  const all = [
    'model.scratch={family: gpt2, layers: 8, heads: 2, hidden_size: 64, context_length: 256}',
    'training.batch_size=128',
    'training.max_steps=2',
    'training.evaluate_every=null',
    'training.device=cpu',
    'training.precision=fp32',
    ...changes,
  ].flatMap((change) => ['--set', change]);
  await place.slipway(['train', ...TINY_GPT2, ...all, '--follow', '--json'], ({ pid }) => {
    if (bytes !== undefined) limitMemory(pid ?? 0, bytes);
  });
  const run = await place.run();
  return { run, events: place.events(run.id) };
}

/** `bytes` hold a half of what is computed at once, or less, beside the command and the processes themselves. */
const LIMITS = [
  { processes: 1, micro: 128, bytes: 1.7e9 },
  { processes: 2, micro: 64, bytes: 2.1e9 },
];

it.skipIf(why)(
  `a kernel that the system kills computes half as much at once${why}`,
  { timeout: 60 * 60_000 },
  async () => {
    const enough = await train(['training.micro_batch_size=32']);
    expect(enough.run).toMatchObject({ state: 'succeeded', attempts: 1 });
    const expected = [...lossCurve(enough.events).values()];
    for (const { processes, micro, bytes } of LIMITS) {
      const changes = [`training.processes=${processes}`, `training.micro_batch_size=${micro}`];
      const { run, events } = await train(changes, bytes);
      expect(run).toMatchObject({ state: 'succeeded', trained: { step: 2 } });
      const failures = events.flatMap((event) => (event.type === 'failure' ? [event] : []));
      expect(failures.length).toBeGreaterThan(0);
      for (const failure of failures) {
        expect(failure.class).toBe('out_of_memory');
        expect(failure.message).toContain('the system ended the kernel for its memory');
      }
      const started = events.flatMap((event) => (event.type === 'started' ? [event] : []));
      expect(started.map((event) => [event.world_size, event.micro_batch_size, event.accumulation])).toEqual(
        Array.from({ length: failures.length + 1 }, (_, tries) => [processes, micro / 2 ** tries, 2 ** tries]),
      );
      const curve = [...lossCurve(events).values()];
      expect(curve).toHaveLength(expected.length);
      for (const [index, loss] of curve.entries()) expect(loss).toBeCloseTo(expected[index] ?? Number.NaN, 4);
    }
  },
);
