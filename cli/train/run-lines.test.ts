/** What is shown of a run, from its events to the lines of a terminal. */
import type { LoggedEvent } from '@slipway/trainer/runs';
import { describe, expect, it } from 'vitest';
import { PLAIN, runLines } from './run-lines.ts';
import { EMPTY_PICTURE, secondsLeft, withEvent } from './run-picture.ts';

type Happening = LoggedEvent extends infer Event
  ? Event extends LoggedEvent
    ? Omit<Event, 'id' | 'at'>
    : never
  : never;

/** One second between two events. */
function pictureOf(events: readonly Happening[]) {
  return events
    .map((event, index) => ({ id: index + 1, at: new Date(index * 1000).toISOString(), ...event }) as LoggedEvent)
    .reduce(withEvent, EMPTY_PICTURE);
}

const started = (step: number): Happening => ({
  type: 'started',
  device: 'cpu',
  precision: 'fp32',
  world_size: 1,
  parameters: 900_000,
  trainable_parameters: 900_000,
  total_steps: 100,
  step,
  micro_batch_size: 8,
  accumulation: 1,
  tokens_per_step: 256,
  resumed_from: step === 0 ? null : step,
});

const progress = (step: number): Happening => ({
  type: 'progress',
  step,
  total_steps: 100,
  epoch: step / 50,
  loss: 5 - step / 50,
  learning_rate: 0.001,
  gradient_norm: 0.8,
  tokens_per_second: 12_345,
  supervised_tokens_per_second: 12_345,
  padding_ratio: 0,
  memory_bytes: 2 ** 28,
  seconds: step,
});

const EVENTS: readonly Happening[] = [
  { type: 'state', state: 'preparing', message: 'begins' },
  {
    type: 'data',
    format: 'text',
    examples: 1,
    tokens: 439_341,
    supervised_tokens: 439_341,
    validation_tokens: 20_574,
    rejected: 0,
    vocabulary_size: 1024,
  },
  { type: 'state', state: 'running', message: 'trains' },
  started(0),
  progress(10),
  progress(20),
  { type: 'evaluation', step: 20, loss: 4.7, perplexity: 110, tokens: 100, best: true },
  { type: 'sample', step: 20, prompt: [1, 2], ids: [3], prompt_text: '<1\n2\x1b>', text: '<3\x1b>', ended: true },
  { type: 'checkpoint', step: 20, path: '/x', bytes: 1, best: true },
  progress(30),
];

const view = {
  name: 'plays',
  id: 'run-1',
  hint: 'Ctrl-C pauses',
};

describe('a run on a terminal', () => {
  it('shows its stage, curves, pace, samples and what Ctrl-C does', () => {
    expect(runLines(view, pictureOf(EVENTS), 90, 24, PLAIN).join('\n')).toMatchInlineSnapshot(`
      " plays  run-1                                                                      trains

       ✓ prepare 439 K tokens, 20.6 K held out   ▸ train   · prove and publish

       4.80 ┤        ⠑⢄                                                                        
            │          ⠑⢄                                                                      
            │            ⠱⡀  ⠐                                                                 
            │             ⠈⠢⡀                                                                  
       4.60 ┤               ⠈⠢⡀                                                                
            │                 ⠈⠢⡀                                                              
            │                   ⠈⢢                                                             
            │                     ⠑⢄                                                           
       4.40 ┤                       ⠑⢄                                                         
            └──────────────────────────────────────────────────────────────────────────────────
             0                                                                              100
        ━━ train 4.400   ━━ held out 4.700   best 4.700 at step 20

        ████████░░░░░░░░░░░░░░░░░░░░  30 %   step 30 of 100   epoch 0.60   18 s left
        12,345 tokens/s   256.0 MiB   gradient 0.80   learning rate 1.0e-3   checkpoint at 20

        step 20    <1 ⏎ 2 ><3 > ∎

        Ctrl-C pauses"
    `);
  });

  it('leaves out what does not fit instead of cutting it, and what the kernel began with once it has', () => {
    const starting: Happening = { type: 'phase', phase: 'starting the kernel', part: 0 };
    const lines = (events: readonly Happening[]) => runLines(view, pictureOf(events), 60, 24, PLAIN);
    expect(lines([...EVENTS.slice(0, 3), starting])[2]).toBe(
      ' ✓ prepare   ▸ train  starting the kernel   · prove and publish',
    );
    const begun = lines([...EVENTS.slice(0, 3), starting, ...EVENTS.slice(3)]);
    expect(begun[2]).toBe(' ✓ prepare   ▸ train   · prove and publish');
    expect(begun.find((line) => line.includes('tokens/s'))).toBe('  12,345 tokens/s   256.0 MiB   gradient 0.80');
    expect(begun.find((line) => line.includes('step 30'))).toMatch(/step 30 of 100$/);
  });

  it('has no more lines than there is room for', () => {
    const picture = pictureOf(EVENTS);
    for (const [columns, rows] of [
      [20, 5],
      [40, 12],
      [80, 24],
      [200, 60],
      [1, 1],
    ] as const) {
      const lines = runLines(view, picture, columns, rows, PLAIN);
      expect(lines.length).toBeLessThanOrEqual(rows);
    }
  });

  it('draws a step that was done twice once, and forgets the pace of before', () => {
    const picture = pictureOf([...EVENTS, started(20), progress(30)]);
    expect(picture.training.map(({ step }) => step)).toEqual([10, 20, 30]);
    // 20 steps since the first line, which took 1 + 4 seconds.
    expect(secondsLeft(pictureOf(EVENTS))).toBeCloseTo(70 / (20 / 5));
    expect(secondsLeft(picture)).toBeNull();
    expect(secondsLeft(pictureOf([...EVENTS, started(20), progress(30), progress(40)]))).toBeCloseTo(60 / 10);
  });
});
