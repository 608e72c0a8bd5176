import { describe, expect, it } from 'vitest';
import { classifyExit, type ExitObservations } from './classify-exit.ts';

const NOTHING: ExitObservations = { code: 1, signal: null, memoryKills: [0, 0], freeBytes: 1e12, lines: [] };
/** As torchrun prints it when the system has killed one process, and another one followed. */
const TORCHRUN = [
  'Failures:',
  '[1]:',
  '  rank      : 0 (local_rank: 0)',
  '  exitcode  : 1 (pid: 2562) ',
  'Root Cause (first observed failure):',
  '[0]:',
  '  rank      : 1 (local_rank: 1)',
  '  exitcode  : -9 (pid: 2563)  (SIGKILL)',
  '  traceback : Signal 9 (SIGKILL) received by PID 2563',
];
const seen = (some: Partial<ExitObservations>) => classifyExit({ ...NOTHING, ...some });

describe('what a kernel died of', () => {
  it.each<[string, Partial<ExitObservations>, string]>([
    ['memory, by the control group', { code: null, signal: 'SIGKILL', memoryKills: [3, 4] }, 'out_of_memory'],
    ['a SIGKILL nobody counted', { code: null, signal: 'SIGKILL', memoryKills: [3, 3] }, 'crashed'],
    ['a SIGKILL where nobody counts', { code: null, signal: 'SIGKILL', memoryKills: [undefined, 1] }, 'crashed'],
    ['a signal as a shell tells it', { code: 137, memoryKills: [3, 4] }, 'out_of_memory'],
    ['memory, of one process of several', { lines: TORCHRUN, memoryKills: [3, 4] }, 'out_of_memory'],
    ['a signal, of one process of several', { lines: TORCHRUN }, 'crashed'],
    ['a segmentation fault', { code: null, signal: 'SIGSEGV', memoryKills: [3, 4] }, 'crashed'],
    ['an abort of a library', { code: 134 }, 'crashed'],
    ['a mapped file on a full disk', { code: null, signal: 'SIGBUS', freeBytes: 4096 }, 'disk_full'],
    ['a bad page', { code: null, signal: 'SIGBUS' }, 'crashed'],
    ['a full disk it speaks of', { lines: ['OSError: [Errno 28] No space left on device'] }, 'disk_full'],
    ['a full disk it does not speak of', { freeBytes: 0, lines: ['SafetensorError: I/O error'] }, 'disk_full'],
    ['too little memory on the card', { lines: ['torch.OutOfMemoryError: CUDA out of memory.'] }, 'out_of_memory'],
    ['too little memory', { lines: ["DefaultCPUAllocator: can't allocate memory"] }, 'out_of_memory'],
    ['a missing library', { lines: ["ModuleNotFoundError: No module named 'torch'"] }, 'environment'],
    ['a broken card', { lines: ['RuntimeError: CUDA error: an illegal memory access'] }, 'device'],
    ['an error it does not know', { lines: ['ValueError: x'] }, 'internal'],
    ['silence', { signal: 'SIGKILL', ended: { class: 'stuck', why: 'no sign of life' }, memoryKills: [0, 1] }, 'stuck'],
  ])('%s', (_, some, kind) => {
    expect(seen(some).class).toBe(kind);
  });

  it('says what to do, and what was printed last', () => {
    const lines = Array.from({ length: 30 }, (_, n) => `line ${n}`);
    const { message } = seen({ code: null, signal: 'SIGKILL', memoryKills: [0, 1], lines });
    expect(message).toContain('training.micro_batch_size');
    expect(message.split('\n').slice(-12)).toEqual(lines.slice(-12));
  });
});
