import type { RunRecord } from '@slipway/trainer/runs';
import { expect, it } from 'vitest';
import { describeRun } from './describe-run.ts';

const NOW = new Date('2026-01-31T15:00:00Z');
/** What is not in a description is not in here. */
const QUEUED = {
  id: 'run-20260131-140507-1a2b3c',
  name: 'plays',
  owner: 'cli',
  state: 'queued',
  priority: 'high',
  message: 'waits for its turn',
  recipe_label: 'plays.yaml',
  bucket: '/models',
  started_at: null,
  ended_at: null,
  attempts: 0,
  retries: {},
  checkpoint_step: null,
  lineage: {},
  hardware: { processor: 'Z80', cores: 2, memory_bytes: 2 ** 34, device: null },
  durations: { preparing: 0, training: 0, publishing: 0 },
  trained: null,
  published: [],
  freed_at: null,
} as unknown as RunRecord;

it('says of a run that waits what is known, and leaves out the rest', () => {
  expect(describeRun(QUEUED, '/runs/one', NOW).split('\n')).toEqual([
    'run-20260131-140507-1a2b3c  plays',
    '  state    queued: waits for its turn',
    '  recipe   plays.yaml, priority high, submitted by cli',
    '  begun    not yet',
    '  machine  Z80, 2 cores, 16.0 GiB',
    '  folder   /runs/one',
  ]);
});

it('says what a run has made, of what, and how often it was tried', () => {
  const text = describeRun(
    {
      ...QUEUED,
      state: 'succeeded',
      message: 'published plays@v001',
      started_at: '2026-01-31T14:00:00Z',
      ended_at: '2026-01-31T14:30:00Z',
      attempts: 3,
      retries: { crashed: 1 },
      checkpoint_step: 400,
      durations: { preparing: 10, training: 1500, publishing: 20 },
      lineage: { data: [{ name: 'plays.txt', bytes: 2 ** 20, sha256: 'ab'.repeat(32) }], git_commit: 'c0ffee' },
      trained: {
        model: '/runs/one/model',
        adapter: null,
        step: 500,
        loss: 1.5,
        best_step: 450,
        best_loss: 1.75,
        tokens: 1_000_000,
        supervised_tokens: 1_000_000,
        seconds: 1490,
        peak_memory_bytes: 2 ** 30,
        checkpoint: null,
      },
      published: ['plays@v001'],
    },
    '/runs/one',
    NOW,
  );
  for (const line of [
    '  ended      30 minutes ago (2026-01-31T14:30:00Z)',
    '  took       25 min 30 s: preparing 10 s, training 25 min 00 s, publishing 20 s',
    '  tried      3 kernels, the last checkpoint is of step 400; since the last checkpoint: crashed 1',
    '  data       plays.txt, 1.0 MiB, sha256 abababababab',
    '  trained    500 steps, 1.00 M tokens; loss 1.500; held out 1.750 at step 450; at most 1.0 GiB of memory',
    '  published  plays@v001 in /models',
    '  software   git c0ffee',
  ]) {
    expect(text.split('\n')).toContain(line);
  }
});
