/** The losses of a run for a picture, from events as a worker leaves them. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { EventLog } from './event-log.ts';
import { readLossCurve } from './loss-curve.ts';
import { runFolder } from './run-folder.ts';
import { newPlace } from './testing/tiny-run.ts';

const RUN = 'run-20260131-140507-1a2b3c';
const PROGRESS = {
  type: 'progress',
  total_steps: 30,
  epoch: 0.5,
  learning_rate: 1e-3,
  gradient_norm: null,
  tokens_per_second: 10,
  supervised_tokens_per_second: 10,
  padding_ratio: 0,
  memory_bytes: 1,
  seconds: 1,
};

it('has each step once, as it was last, in order', () => {
  const { dataFolder } = newPlace();
  const { events } = runFolder(dataFolder, RUN);
  mkdirSync(dirname(events), { recursive: true });
  const log = new EventLog(events);
  for (const [step, loss] of [
    [10, 4],
    [20, 3.5],
    [10, 4.1],
    [20, 3.4],
  ] as const)
    log.add({ ...PROGRESS, step, loss });
  log.add({ type: 'evaluation', step: 20, loss: 3.6, perplexity: null, tokens: 100, best: true });
  log.close();
  expect(readLossCurve(dataFolder, RUN)).toEqual({
    run: RUN,
    training: [
      { step: 10, loss: 4.1 },
      { step: 20, loss: 3.4 },
    ],
    validation: [{ step: 20, loss: 3.6 }],
  });
});

it.each([RUN, '../../etc/passwd'])('of %s, which is not here, is not there', (run) => {
  expect(readLossCurve(newPlace().dataFolder, run)).toBeUndefined();
});
